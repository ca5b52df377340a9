import os
import pickle
import re
import tomllib
from dataclasses import dataclass

import pytest
from hypothesis import assume, given, settings, strategies as st

from dispatch.engine.policy import POLICIES, Policy
from dispatch.errors import InputError
from dispatch.sim.behaviour import Behaviour
from dispatch.sim.scenario_file import ScenarioFile, is_scenario, load_scenario, packaged_scenarios
from dispatch.sim.scenario_keys import hints_of, rules_of
from dispatch.sim.scenario_tables import STARTING, keys_of, starting_tables

PACKAGED = ["built_in", "built_in_machines", "community", "golden_minutes", "manhattan", "san_francisco"]


@dataclass(frozen=True)
class Own(Policy):
    """A policy of one's own."""

    extra: int = 3


def written(folder, text, name="day.toml"):
    path = folder / name
    path.write_text(text)
    return path


def refusal(call, *arguments):
    with pytest.raises(InputError) as refused:
        call(*arguments)
    return str(refused.value)


# --- any scenario ----------------------------------------------------------------------------------


def values_for(table, key):
    """Values that a key may have, from the rule that it tells."""
    start = STARTING[table]
    hint, rule, value = hints_of(start)[key], rules_of(start)[key], keys_of(table, start)[key]
    if hint is bool:
        return st.booleans()
    if key.startswith("quality_"):  # the low one must not be above the high one
        return st.floats(0, 0.4) if key == "quality_low" else st.floats(0.4, 1)
    if rule.startswith("one of "):
        return st.sampled_from(
            rule.removeprefix("one of ").removesuffix(", or package.module:Class").split(", ")
        )
    limits = re.match(r"a (?:whole )?number from (\S+) to (\S+)", rule)
    if limits:
        low, high = float(limits[1]), min(float(limits[2]), 2.0**62) * 0.999
        whole = hint is int or int in getattr(hint, "__args__", ())
        return st.integers(int(low), int(high)) if whole else st.floats(low, high)
    if key == "date":
        return st.dates().map(str)
    if isinstance(value, str):
        return st.text(min_size=1).filter(str.strip)
    if key == "priority_weights":
        return st.lists(st.floats(0.001, 1000))
    return st.just(value)


ALL_KEYS = [(table, key) for table, start in STARTING.items() for key in keys_of(table, start)]


@st.composite
def scenarios(draw):
    tables = {}
    for table, key in draw(st.lists(st.sampled_from(ALL_KEYS), unique=True)):
        tables.setdefault(table, {})[key] = draw(values_for(table, key))
    if tables.get("behaviour", {}).get("preset") == "none":  # has one class of cars, the values drawn two
        for key in ("seats", "class_shares"):
            tables.get("vehicles", {}).pop(key, None)
    policy = tables.get("policy", {})
    if "nearest" in policy.values():  # which has no gain to weigh
        policy.pop("reassign_gain_s", None)
    if policy.get("name") == "reassign":
        policy.pop("matching", None)
    return ScenarioFile(tables)


@settings(max_examples=60, deadline=None)
@given(scenarios())
def test_what_is_written_reads_as_the_same(scenario):
    for complete in (False, True):
        again = ScenarioFile(tomllib.loads(scenario.to_toml(complete)))
        assert again == scenario
        assert again.values == scenario.values
        assert again.digest() == scenario.digest()
    assert pickle.loads(pickle.dumps(scenario)) == scenario


@settings(max_examples=60, deadline=None)
@given(scenarios(), st.data())
def test_a_key_set_by_text_is_the_key_set_by_its_value(scenario, data):
    table, key = data.draw(
        st.sampled_from([one for one in ALL_KEYS if one[1] not in ("seats", "class_shares")])
    )
    # Another preset may have other numbers of classes than those that are set.
    assume(key != "preset" or not {"seats", "class_shares"} & scenario.given.get("vehicles", {}).keys())
    value = data.draw(values_for(table, key))
    text = str(value).lower() if isinstance(value, bool) else str(value)
    by_text, by_value = (scenario.with_value(f"{table}.{key}", one) for one in (text, value))
    assert by_text == by_value
    assert by_value.values[table][key] == value
    assert by_value.given == {**scenario.given, table: {**scenario.given.get(table, {}), key: value}}


# --- values ----------------------------------------------------------------------------------------


def test_values_are_complete():
    values = ScenarioFile().values
    assert list(values) == list(starting_tables({}))
    assert values["day"] == {
        "date": "busiest", "orders": "auto", "drivers": "auto", "shift_h": "auto", "demand_scale": 1.0,
    }  # fmt: skip
    assert values["customers"]["tier_shares"] == [0.8, 0.15, 0.05]
    assert values["city"] == {"source": "built-in", "seed": 1}


def test_a_policy_s_parameters_follow_its_name_but_for_those_that_are_set():
    scenario = ScenarioFile({"policy": {"starvation_s": 60}})
    patient = scenario.with_value("policy", "patient")
    assert patient.values["policy"]["patient_base_s"] == POLICIES["patient"].patient_base_s
    assert patient.values["policy"]["starvation_s"] == 60.0
    assert patient.with_policy("patient") == patient
    assert patient.with_policy("nearest").values["policy"]["starvation_s"] == 0.0
    assert patient.with_policy("nearest").values["policy"]["matching"] == "nearest"


def test_a_policy_of_one_s_own():
    name = f"{__name__}:Own"
    scenario = ScenarioFile({"policy": {"name": name, "chain_before_dropoff_s": 5}})
    assert scenario.values["policy"]["name"] == name
    both = ScenarioFile().with_values({"policy.extra": "7", "policy": name})
    assert both.values["policy"]["extra"] == 7
    assert both.with_value("extra", "8").values["policy"]["extra"] == 8
    assert ScenarioFile(tomllib.loads(both.to_toml(complete=True))) == both
    built = scenario.with_values({"orders": 30, "drivers": 3, "extra": 9}).build()
    assert built.params.rules == Own("Own", chain_before_dropoff_s=5.0, extra=9)


def test_behaviour_follows_its_preset_but_for_what_is_set():
    scenario = ScenarioFile({"customers": {"retry_share": 0.7}}).with_value("behaviour", "none")
    none = Behaviour.none()
    assert scenario.values["customers"]["no_show_share"] == none.customers.no_show_share == 0
    assert scenario.values["customers"]["retry_share"] == 0.7
    assert scenario.values["traffic"]["model"] == "exact"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("window_s", "0", "sim.window_s is 0.0: it must be a number from 0.1 to 3600 seconds"),
        ("window_s", "soon", "sim.window_s is 'soon': it must be a number from 0.1 to 3600 seconds"),
        ("window_s", float("nan"), "sim.window_s is nan: it must be a number from 0.1 to 3600 seconds"),
        ("policy", "best", "policy.name is 'best': it must be one of batch, nearest"),
        ("vehicles.upgrades", "yes", "vehicles.upgrades is 'yes': it must be true or false"),
        ("tier_shares", "[0.5]", "customers.tier_shares is [0.5]: the shares sum to 0.5, they must sum to 1"),
        ("class_shares", "[1]", "class_shares is a key of several tables: write customers.class_shares or"),
        ("window_ms", 30, "window_ms is no key of a scenario: write sim.window_s, in seconds"),
    ],
)
def test_a_wrong_change_is_refused(key, value, message):
    assert refusal(ScenarioFile().with_value, key, value).startswith(message)


def test_parts_that_go_together_change_together():
    changes = {"vehicles.class_shares": "[0.5, 0.3, 0.2]", "seats": [4, 4, 6]}
    assert ScenarioFile().with_values(changes).values["vehicles"]["seats"] == [4, 4, 6]
    assert "seats is (4, 6)" in refusal(ScenarioFile().with_value, *next(iter(changes.items())))


def test_the_digest_is_of_what_steers_the_run():
    scenario = ScenarioFile({"sim": {"window_s": 30}})
    assert scenario.digest() == ScenarioFile().digest()
    assert (
        scenario.with_value("description", "x").with_value("scenario.name", "y").digest() == scenario.digest()
    )
    others = [
        scenario.with_value(*one).digest() for one in (("seed", 2), ("window_s", 31), ("policy", "nearest"))
    ]
    assert len({scenario.digest(), *others}) == 4
    assert re.fullmatch("[0-9a-f]{64}", scenario.digest())


def test_rows_tell_values_defaults_and_rules():
    rows = {f"{row.table}.{row.key}": row for row in ScenarioFile({"sim": {"window_s": 5}}).rows()}
    row = rows["sim.window_s"]
    assert (row.value, row.default, row.rule) == (5.0, 30.0, "a number from 0.1 to 3600 seconds")
    assert set(rows) == {f"{table}.{key}" for table, key in ALL_KEYS}


# --- files -----------------------------------------------------------------------------------------


def test_a_file(tmp_path):
    path = written(tmp_path, "day = {date = 2024-03-04, drivers = 5}\n[sim]\nwindow_s = 10 # often\n")
    scenario = load_scenario(path)
    assert scenario.given == {"day": {"date": "2024-03-04", "drivers": 5}, "sim": {"window_s": 10.0}}
    assert (scenario.name, scenario.folder) == ("day", tmp_path)
    assert scenario.with_value("scenario.name", "mine").name == "mine"


def test_all_that_is_wrong_with_a_file_is_told_at_once(tmp_path):
    text = """
    [city]
    source = "nowhere"
    [day]
    drivers = 0
    [engine]
    stale_position_s = -1
    [sim]
    window_ms = 30
    ping_s = 180
    """
    path = written(tmp_path, text)
    assert refusal(load_scenario, path).splitlines() == [
        f"{path}: 4 problems",
        "  day.drivers is 0: it must be a number from 1 to 1e+06",
        "  engine.stale_position_s is -1.0: it must be a number from 0.001 to 86400 seconds",
        "  sim.window_ms is no key: write window_s, in seconds",
        f"  city.source is nowhere: there is no {tmp_path / 'nowhere'}; it must be built-in, a folder with "
        "nodes and edges, or an .osm.pbf file",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[sim]\nwindow_s = = 3\n", "not valid TOML: Invalid value (at line 2, column 12)"),
        (
            "[sim]\nwindow_s = 3\nwindow_s = 4\n",
            "not valid TOML: Cannot overwrite a value (at line 3, column 13)",
        ),
        ("[sim]\nwindow_ms = 3\n", "sim.window_ms is no key: write window_s, in seconds"),
        ("[zones]\nfile = 3\n", "zones.file is 3: it must be text in quotes"),
    ],
)
def test_one_problem_is_one_line(tmp_path, text, message):
    path = written(tmp_path, text)
    assert refusal(load_scenario, path) == f"{path}: {message}"


def test_what_is_no_scenario(tmp_path):
    missing = tmp_path / "none.toml"
    assert refusal(load_scenario, missing) == (
        f"{missing}: no such scenario file; packaged ones are {', '.join(PACKAGED)}"
    )
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    assert refusal(load_scenario, tmp_path / "bytes.toml").startswith(
        f"{tmp_path / 'bytes.toml'}: cannot be read"
    )
    assert "cannot be read as text" in refusal(load_scenario, tmp_path)


def test_a_scenario_that_cannot_be_is_not_built(tmp_path):
    path = written(tmp_path, "[sim]\nping_s = 200\n[day]\ndate = 2024-03-04\n")
    scenario = load_scenario(path)
    lines = refusal(scenario.build).splitlines()
    assert lines[0] == f"{path}: 2 problems"
    assert [line.split()[0] for line in lines[1:]] == ["sim.ping_s", "day.date"]
    assert refusal(scenario.check).splitlines() == lines
    assert refusal(load_scenario("built_in").build, -1).startswith("seed is -1")


def test_what_the_city_says_names_the_file(tmp_path):
    (tmp_path / "empty").mkdir()
    path = written(tmp_path, '[city]\nsource = "empty"\n')
    assert refusal(load_scenario(path).build).startswith(f"{path}: {tmp_path / 'empty'}: no city, nodes and")


# --- the packaged ones -----------------------------------------------------------------------------


def test_packaged_scenarios_are_right_and_say_what_they_are(monkeypatch):
    assert list(packaged_scenarios()) == PACKAGED
    for name, path in packaged_scenarios().items():
        scenario = load_scenario(name)
        assert (scenario.name, scenario.path) == (name, path)
        assert scenario.values["scenario"]["description"]
        assert path.read_text().startswith("# ")
    assert load_scenario("built_in").problems() == []
    machines, people = (load_scenario(name).values for name in ("built_in_machines", "built_in"))
    assert machines["day"] == people["day"]
    assert machines["customers"] != people["customers"]


def test_packaged_scenarios_of_real_cities(data, monkeypatch):
    monkeypatch.setenv("DISPATCH_DATA", os.fspath(data))
    for name in PACKAGED:
        assert load_scenario(name).problems() == []
    golden = load_scenario("golden_minutes").build()
    assert golden.date == "2008-05-31"
    assert golden.behaviour.customers.impatient_after_s == 180.0
    assert golden.notes[0].startswith("Scenario golden_minutes: San Francisco under pressure")
    assert "scaled by 1.5" in golden.notes[1]


def test_a_name_is_a_packaged_scenario_where_no_folder_has_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_scenario("built_in")
    assert is_scenario(tmp_path / "anything.toml")
    assert not is_scenario("gridville")
    (tmp_path / "built_in").mkdir()
    assert not is_scenario("built_in")
