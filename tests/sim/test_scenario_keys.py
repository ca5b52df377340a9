import datetime

import numpy as np
import pytest

from dispatch.engine.policy import Policy
from dispatch.errors import InputError
from dispatch.sim.scenario_keys import checked_tables, dotted_key, read_text, rules_of, typed, unit_of
from dispatch.sim.scenario_tables import STARTING, keys_of


@pytest.mark.parametrize(
    ("hint", "value", "expected"),
    [
        (float, 300, 300.0),
        (float, np.float32(0.5), 0.5),
        (int, np.int64(3), 3),
        (str, datetime.date(2008, 5, 31), "2008-05-31"),
        (tuple[float, ...], [1, 0], (1.0, 0.0)),
        (tuple[int, ...], (4, 6), (4, 6)),
        (int | str, "auto", "auto"),
        (int | str, 5, 5),
        (float | str, 5, 5.0),
        (bool, False, False),
        (dict, {"a": 1}, {"a": 1}),
    ],
)
def test_values_become_what_their_fields_are(hint, value, expected):
    found = typed("x", hint, value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("hint", "value", "message"),
    [
        (float, "30", "x is '30': it must be a number"),
        (float, True, "x is true: it must be a number"),
        (int, 1.0, "x is 1.0: it must be a whole number"),
        (int, False, "x is false: it must be a whole number"),
        (bool, 1, "x is 1: it must be true or false"),
        (str, 7, "x is 7: it must be text in quotes"),
        (tuple[float, ...], 1.0, "x is 1.0: it must be a list of numbers in brackets"),
        (tuple[int, ...], [4, 6.5], "x[1] is 6.5: it must be a whole number"),
        (int | str, [1], "x is [1]: it must be a whole number or text in quotes"),
        (float, datetime.date(2008, 5, 31), "x is 2008-05-31: it must be a number"),
    ],
)
def test_values_of_another_type_are_refused(hint, value, message):
    with pytest.raises(InputError) as refused:
        typed("x", hint, value)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("hint", "text", "value"),
    [
        (float, "1e3", 1000.0),
        (int, "300", 300),
        (int, "1.5", "1.5"),
        (bool, "true", True),
        (bool, "yes", "yes"),
        (str, "300", "300"),
        (tuple[float, ...], "[0.8,0.2]", [0.8, 0.2]),
        (tuple[float, ...], "0.8;0.2", "0.8;0.2"),
        (int | str, "300", 300),
        (int | str, "from-data", "from-data"),
        (float | str, "7.5", 7.5),
    ],
)
def test_text_of_a_command_line(hint, text, value):
    assert read_text(hint, text) == value


WRONG = [
    ({"sim": {"window_ms": 30000}}, ["sim.window_ms is no key: write window_s, in seconds"]),
    ({"sim": {"window": 30}}, ["sim.window is no key: write window_s, in seconds"]),
    ({"day": {"shift_hours": 8}}, ["day.shift_hours is no key: write shift_h, in hours"]),
    ({"vehicles": {"range_m": 8}}, ["vehicles.range_m is no key: write range_km, in kilometres"]),
    (
        {"customers": {"retry_pct": 5}},
        ["customers.retry_pct is no key: write retry_share, a share from 0 to 1"],
    ),
    (
        {"customers": {"patience_hazard_per_s": 1}},
        [
            "customers.patience_hazard_per_s is no key of [customers]: did you mean patience_hazard_per_min?",
        ],
    ),
    ({"sim": {"windw_s": 3}}, ["sim.windw_s is no key of [sim]: did you mean window_s?"]),
    (
        {"sim": {"qqq": 3}},
        ["sim.qqq is no key of [sim]: they are window_s, boarding_s, alighting_s, ping_s, cruising_told_s"],
    ),
    ({"costumers": {}}, ["costumers is no table of a scenario: did you mean [customers]?"]),
    ({"qqq": {}}, [f"qqq is no table of a scenario: they are {', '.join(STARTING)}"]),
    ({"window_s": 3}, ["window_s stands outside of any table: write it under [sim]"]),
    ({"qqq": 3}, ["qqq stands outside of any table: keys belong into a table"]),
    ({"day": 3}, ["day is 3: it must be a table, [day] with keys below it"]),
    ({"sim": {"window_s": "30 s"}}, ["sim.window_s is '30 s': it must be a number from 0.1 to 3600 seconds"]),
    (
        {"sim": {"window_s": 30_000}},
        ["sim.window_s is 30000.0: it must be a number from 0.1 to 3600 seconds"],
    ),
    (
        {"customers": {"max_retries": "2"}},
        ["customers.max_retries is '2': it must be a whole number from 0 to 20"],
    ),
    (
        {"policy": {"chain_before_dropoff_s": -1}},
        ["policy.chain_before_dropoff_s is -1.0: it must be a number from 0 to 3600 seconds"],
    ),
    (
        {"policy": {"name": "pkg.none:Mine"}},
        ["policy.name is 'pkg.none:Mine': it cannot be imported (No module named 'pkg')"],
    ),
    (
        {"policy": {"name": "pkg.none:Mine", "my_own": 3, "patient_slope": -1}},
        [
            "policy.name is 'pkg.none:Mine': it cannot be imported (No module named 'pkg')",
            "policy.patient_slope is -1.0: it must be a number from 0 to 1000",
        ],
    ),
    ({"policy": {"name": 5}}, [f"policy.name is 5: it must be {rules_of(Policy())['name']}"]),
    (
        {"drivers": {"answer_s": [9, 2]}},
        ["drivers.answer_s[1] is 2.0: it must be a number from 9 to 3600 seconds"],
    ),
    (
        {"vehicles": {"class_shares": [1.0]}},
        [
            "vehicles.seats is (4, 6): it must be a list with one number for each of the 1 classes of "
            "class_shares"
        ],
    ),
]


@pytest.mark.parametrize(("given", "problems"), WRONG)
def test_each_problem_names_the_key_and_what_to_write(given, problems):
    assert checked_tables(given)[0] == problems


def test_all_problems_are_told_and_none_that_only_follows_from_another():
    given = {
        "seed": 4,
        "sim": {"window_s": 0, "boarding_s": -1, "ping_s": "x", "alighting_s": 20, "foo": 1},
        "vehicles": {"class_shares": [0.5, 0.4, 0.2], "seats": [4, 4, 6], "upgrades": "no"},
        "day": {"drivers": 50},
    }
    problems, good = checked_tables(given)
    assert [problem.partition(" ")[0] for problem in problems] == [
        "seed", "sim.ping_s", "sim.foo", "sim.window_s", "sim.boarding_s", "vehicles.upgrades",
        "vehicles.class_shares",
    ]  # fmt: skip
    assert good["sim"] == {"alighting_s": 20.0}
    assert good["day"] == {"drivers": 50}


def test_parts_that_go_together_are_right_together():
    given = {"vehicles": {"seats": [4, 4, 6], "class_shares": [0.5, 0.3, 0.2]}, "sim": {}}
    problems, good = checked_tables(given)
    assert problems == []
    assert good == {"vehicles": {"seats": [4, 4, 6], "class_shares": [0.5, 0.3, 0.2]}}


@pytest.mark.parametrize(
    ("short", "dotted"),
    [
        ("drivers", "day.drivers"),
        ("policy", "policy.name"),
        ("orders", "day.orders"),
        ("date", "day.date"),
        ("seed", "scenario.seed"),
        ("window_s", "sim.window_s"),
        ("retry_share", "customers.retry_share"),
        ("sim.window_s", "sim.window_s"),
        ("city", "city.source"),
        ("behaviour", "behaviour.preset"),
        ("traffic", "traffic.model"),
    ],
)
def test_short_names(short, dotted):
    assert dotted_key(short, {}) == dotted


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (
            "class_shares",
            "class_shares is a key of several tables: write customers.class_shares or vehicles.cl",
        ),
        ("name", "name is a key of several tables: write scenario.name or policy.name"),
        ("window_ms", "window_ms is no key of a scenario: write sim.window_s, in seconds"),
        ("windw_s", "windw_s is no key of a scenario: did you mean window_s?"),
        ("qqqq", "qqqq is no key of a scenario; dispatch scenario show lists them all"),
        ("smi.window_s", "smi is no table of a scenario: did you mean [sim]?"),
        ("sim.windw_s", "sim.windw_s is no key of [sim]: did you mean window_s?"),
        ("engine.policy", "engine.policy is no key of [engine]"),
    ],
)
def test_names_of_no_or_several_keys(key, message):
    with pytest.raises(InputError) as refused:
        dotted_key(key, {})
    assert str(refused.value).startswith(message)


def test_the_rule_of_every_key_is_the_one_that_refuses():
    """Each key tells its range, but for those where anything of the type is right."""
    without = {
        f"{table}.{key}"
        for table, start in STARTING.items()
        for key in keys_of(table, start)
        if not rules_of(start)[key]
    }
    assert without == {
        "scenario.name", "scenario.description", "city.source", "policy.priority_weights", "zones.file",
    }  # fmt: skip
    assert rules_of(STARTING["day"])["drivers"] == "a whole number from 1 to 1e+06 or from-data or auto"
    assert rules_of(STARTING["traffic"])["model"] == "one of exact, assumed, fitted"


@pytest.mark.parametrize(
    ("key", "unit"),
    [
        ("window_s", "in seconds"),
        ("retry_share", "a share from 0 to 1"),
        ("break_min", "in minutes"),
        ("patience_hazard_per_min", "a number for each minute"),
        ("base_cents", "in cents"),
        ("patient_slope", ""),
    ],
)
def test_units_of_names(key, unit):
    assert unit_of(key) == unit
