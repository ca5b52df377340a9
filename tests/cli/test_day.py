from pathlib import Path

import pytest

from cli.said import assert_one_line
from dispatch.cli.day import Day
from dispatch.sim.scenario_file import load_scenario

WRONG_OPTIONS = [
    (["--window", "0"], "--window is 0.0: it must be a number from 0.1 to 3600 seconds"),
    (["--window", "nan"], "--window is nan: it must be a number"),
    (["--max-pickup", "0"], "--max-pickup is 0.0: it must be a number from 1 to"),
    (["--policy", "best"], "--policy names 'best': a policy is one of batch, nearest"),
    (["--seed", "-1"], "--seed is -1: it must be a"),
    (["--drivers", "0"], "--drivers is 0: it must be a number from 1 to 1e+06"),
    (["--drivers", "many"], "--drivers is 'many': it must be a whole number or from-data"),
    (
        ["--shift-hours", "0", "--drivers", "3"],
        "--shift-hours is 0.0: it must be a number from 0.1 to 24 hours",
    ),
    (["--shift-hours", "25", "--drivers", "3"], "--shift-hours is 25.0"),
    (["--json", "/no/such/folder/day.json"], "--json is /no/such/folder/day.json: its folder does not exist"),
    (["--events", "/no/such/folder/log"], "--events is /no/such/folder/log: its folder does not exist"),
    (["--report", "."], "--report is .: that is a folder, name a file"),
    (["--player", "."], "--player is .: that is a folder, name a file"),
    (["--date", "31.5.2008"], "--date is '31.5.2008': it must be a day of the calendar as YYYY-MM-DD"),
]
WRONG_FOR_FOLDERS = [
    (["--date", "2007-01-01"], "--date is 2007-01-01: gridville has trips from 2024-03-04 to"),
    (["--orders", "9"], "--orders is 9: the orders of"),
    (["--drivers", "from-data", "--shift-hours", "8"], "--shift-hours goes with made-up drivers"),
]
WRONG_BUILT_IN = [
    (["--orders", "0"], "--orders is 0: it must be a number from 1 to 1e+07"),
    (
        ["--drivers", "from-data"],
        "--drivers is from-data: the built-in city has no recorded taxis, give a number",
    ),
    (["--date", "2024-03-04"], "--date is 2024-03-04: the built-in city has one day without a date"),
]


@pytest.mark.parametrize(("options", "message"), WRONG_OPTIONS + WRONG_FOR_FOLDERS)
def test_a_wrong_option_is_told_in_one_line_that_names_it(dispatch, city, options, message):
    assert_one_line(dispatch("simulate", city, *options), message)


@pytest.mark.parametrize(("options", "message"), WRONG_BUILT_IN)
def test_a_wrong_option_of_the_built_in_city(dispatch, options, message):
    assert_one_line(dispatch("simulate", *options), message)


def test_without_a_scenario_file_it_is_a_city_of_machines(city):
    for day in (Day(), Day(city)):
        values = day.scenario_file().values
        assert values["behaviour"]["preset"] == "none"
        assert (values["policy"]["name"], values["sim"]["window_s"]) == ("batch", 30.0)
        assert values["engine"]["max_pickup_s"] == 1200.0


def test_the_seed_of_the_options_is_that_of_the_built_in_city_but_not_of_a_scenario_s():
    built_in = Day(seed=5).scenario_file().values
    assert (built_in["scenario"]["seed"], built_in["city"]["seed"]) == (5, 5)
    packaged = Day(Path("built_in"), seed=5).scenario_file().values
    assert (packaged["scenario"]["seed"], packaged["city"]["seed"]) == (5, 1)


def test_options_that_are_not_given_leave_a_scenario_as_it_is():
    assert Day(Path("built_in")).scenario_file() == load_scenario("built_in")


def test_a_folder_of_the_built_in_city_s_name_is_a_folder(tmp_path, monkeypatch):
    (tmp_path / "built-in").mkdir()
    monkeypatch.chdir(tmp_path)
    assert Day(Path("built-in")).scenario_file().values["city"]["source"] == "./built-in"
