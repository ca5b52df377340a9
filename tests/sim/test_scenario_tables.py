from dataclasses import fields

import pytest

from dispatch.engine.policy import POLICIES
from dispatch.errors import InputError
from dispatch.sim.behaviour import Behaviour
from dispatch.sim.scenario_tables import (
    STARTING,
    About,
    BehaviourPreset,
    CitySource,
    DayParams,
    keys_of,
    starting_tables,
)


@pytest.mark.parametrize(
    ("table", "values", "message"),
    [
        (About, {"seed": -1}, "seed is -1: it must be a number from 0 to"),
        (CitySource, {"source": " "}, "source is ' ': it must be built-in, a folder or an .osm.pbf file"),
        (CitySource, {"seed": 1.5}, "seed is 1.5: it must be a whole number"),
        (DayParams, {"date": "2024-3-4"}, "date is '2024-3-4': it must be a day of the calendar as YYYY"),
        (DayParams, {"date": "2024-02-30"}, "date is '2024-02-30': it must be a day of the calendar"),
        (
            DayParams,
            {"date": "20240304"},
            "date is '20240304': it must be a day of the calendar as YYYY-MM-DD",
        ),
        (DayParams, {"orders": 0}, "orders is 0: it must be a number from 1 to 1e+07"),
        (DayParams, {"orders": "all"}, "orders is 'all': it must be a whole number or auto"),
        (DayParams, {"drivers": 1.5}, "drivers is 1.5: it must be a whole number"),
        (DayParams, {"drivers": "all"}, "drivers is 'all': it must be a whole number or from-data or auto"),
        (DayParams, {"shift_h": 25}, "shift_h is 25: it must be a number from 0.1 to 24 hours"),
        (DayParams, {"shift_h": "long"}, "shift_h is 'long': it must be a number of hours or auto"),
        (DayParams, {"demand_scale": 0}, "demand_scale is 0: it must be a number from 0.001 to 20"),
        (BehaviourPreset, {"preset": "nobody"}, "preset is 'nobody': it must be one of default, none"),
    ],
)
def test_what_cannot_be_is_refused_with_its_range(table, values, message):
    with pytest.raises(InputError) as refused:
        table(**values)
    assert str(refused.value).startswith(message)


def test_people_and_cars_start_from_the_preset():
    none = starting_tables({"behaviour": {"preset": "none"}})
    for part in fields(Behaviour):
        assert starting_tables({})[part.name] == getattr(Behaviour(), part.name)
        assert none[part.name] == getattr(Behaviour.none(), part.name)


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_starts_from_its_name(name):
    assert starting_tables({"policy": {"name": name}})["policy"] == POLICIES[name]


@pytest.mark.parametrize("given", [{"policy": {"name": "best"}}, {"policy": 3}, {"behaviour": {"preset": 1}}])
def test_what_is_wrong_is_left_out_of_account(given):
    assert starting_tables(given) == STARTING


def test_the_engine_s_policy_has_a_table_of_its_own():
    assert "policy" not in keys_of("engine", STARTING["engine"])
    assert keys_of("engine", STARTING["engine"])["max_wait_s"] == 1800.0
    assert keys_of("customers", STARTING["customers"])["class_shares"] == [0.92, 0.08]
