import json

import pytest

from cli.said import assert_one_line
from dispatch.sim.scenario_file import load_scenario, packaged_scenarios


@pytest.fixture
def day(city, tmp_path):
    """A scenario of the small city's recorded day."""
    path = tmp_path / "day.toml"
    path.write_text(
        f'[city]\nsource = "{city}"\n[day]\ndate = "2024-03-04"\ndrivers = 4\n[sim]\nwindow_s = 20\n'
        '[policy]\nname = "nearest"\n[behaviour]\npreset = "none"\n'
    )
    return path


def test_right_scenarios(dispatch, day):
    status, out, err = dispatch("scenario", "check", day, "built_in")
    assert (status, out, err) == (0, f"✓ {day}: right\n✓ built_in: right\n", "")
    status, out, _ = dispatch("scenario", "check", "--build", day)
    assert (status, out) == (0, f"✓ {day}: right\n")


def test_every_problem_of_every_wrong_scenario_is_told(dispatch, day, tmp_path):
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[sim]\nwindow_ms = 3\nping_s = 0\n")
    status, out, _ = dispatch("scenario", "check", wrong, day, tmp_path / "none.toml")
    assert status == 1
    assert out.splitlines() == [
        f"✗ {wrong}: 2 problems",
        "  sim.window_ms is no key: write window_s, in seconds",
        "  sim.ping_s is 0.0: it must be a number from 1 to 3600 seconds",
        f"✓ {day}: right",
        f"✗ {tmp_path / 'none.toml'}: no such scenario file; packaged ones are "
        + ", ".join(packaged_scenarios()),
    ]


def test_only_building_finds_a_day_without_trips(dispatch, day):
    day.write_text(day.read_text().replace("2024-03-04", "2023-01-01"))
    assert dispatch("scenario", "check", day)[0] == 0
    status, out, _ = dispatch("scenario", "check", "--build", day)
    assert status == 1
    assert out.startswith(f"✗ {day}: date is 2023-01-01: gridville has trips from 2024-03-04")


def test_show_tells_every_value_and_marks_those_that_differ(dispatch, day):
    status, out, err = dispatch("scenario", "show", day)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    (window,) = [line for line in lines if " window_s = " in line]
    assert window.split() == [
        "●",
        "window_s",
        "=",
        "20",
        "default:",
        "30;",
        "a",
        "number",
        "from",
        "0.1",
        "to",
        "3600",
        "seconds",
    ]
    (boarding,) = [line for line in lines if " boarding_s = " in line]
    assert boarding.split() == ["boarding_s", "=", "30", "a", "number", "from", "0", "to", "3600", "seconds"]
    assert "[customers]" in lines
    assert len([line for line in lines if " = " in line]) == len(load_scenario(day).rows())


def test_what_show_writes_is_the_scenario(dispatch, day, tmp_path):
    status, out, err = dispatch("scenario", "show", day, "--toml")
    assert (status, err) == (0, "")
    again = tmp_path / "again.toml"
    again.write_text(out)
    assert load_scenario(again).given == load_scenario(day).given
    assert "# boarding_s = 30.0  # a number from 0 to 3600 seconds" in out


def test_a_scenario_tells_what_its_engine_predicts_with(dispatch, day, tmp_path):
    (told,) = [line for line in dispatch("scenario", "show", day)[1].splitlines() if " eta = " in line]
    assert told.split(maxsplit=3)[2:] == [
        '"traffic"',
        "traffic (as the model predicts), free_flow, or the file of a model that dispatch eta train made of "
        "this city",
    ]
    day.write_text(day.read_text() + '[traffic]\neta = "mine.eta"\n')
    status, out, _ = dispatch("scenario", "check", day)
    assert status == 1
    assert f"traffic.eta is mine.eta: there is no file {tmp_path / 'mine.eta'}; it must be traffic (as" in out
    (tmp_path / "mine.eta").write_text("no model")
    assert dispatch("scenario", "check", day)[0] == 0
    status, out, _ = dispatch("scenario", "check", "--build", day)
    assert status == 1
    assert "mine.eta: no readable model of ETAs" in out


def test_list_names_the_packaged_ones(dispatch):
    status, out, _ = dispatch("scenario", "list")
    assert status == 0
    assert all(name in out for name in packaged_scenarios())


@pytest.mark.parametrize("command", ["check", "show", "list"])
def test_help_has_examples(dispatch, command):
    status, out, _ = dispatch("scenario", command, "--help")
    assert status == 0
    assert "Example" in out


def test_simulate_runs_a_scenario_and_options_take_the_place_of_its_values(dispatch, day, tmp_path):
    told = []
    for run, options in enumerate(([], ["--drivers", 6, "--window", 60, "--policy", "batch", "--seed", 3])):
        json_file = tmp_path / f"{run}.json"
        status, _, err = dispatch("simulate", day, *options, "--json", json_file)
        assert (status, err) == (0, "")
        told.append(json.loads(json_file.read_text()))
    wanted = ("policy", "drivers", "window_s", "seed", "date")
    assert [tuple(one[key] for key in wanted) for one in told] == [
        ("nearest", 4, 20.0, 1, "2024-03-04"),
        ("batch", 6, 60.0, 3, "2024-03-04"),
    ]


def test_the_scenario_of_the_options_is_the_run_of_the_options(dispatch, city, day, tmp_path):
    """A file of the same values gives the same log as the options do."""
    options = ["--date", "2024-03-04", "--drivers", 4, "--window", 20, "--policy", "nearest"]
    hashes = []
    for run, arguments in enumerate(([day], [city, *options])):
        json_file = tmp_path / f"{run}.json"
        assert dispatch("simulate", *arguments, "--json", json_file)[0] == 0
        hashes.append(json.loads(json_file.read_text())["event_log_sha256"])
    assert hashes[0] == hashes[1]


def test_compare_a_scenario(dispatch, day, tmp_path):
    json_file = tmp_path / "both.json"
    status, _, _ = dispatch("compare", day, "--policies", "nearest,batch", "--json", json_file)
    assert status == 0
    told = json.loads(json_file.read_text())
    assert [(one["policy"], one["window_s"], one["drivers"]) for one in told] == [
        ("nearest", 20.0, 4), ("batch", 20.0, 4),
    ]  # fmt: skip


def test_simulate_tells_what_is_wrong(dispatch, day, tmp_path):
    assert_one_line(
        dispatch("simulate", day, "--window", 0), "--window is 0.0: it must be a number from 0.1 to"
    )
    missing = tmp_path / "none.toml"
    assert_one_line(dispatch("simulate", missing), f"{missing}: no such scenario file; packaged ones are")
    day.write_text("[sim]\nping_s = 200\n")
    assert_one_line(dispatch("simulate", day), f"{day}: sim.ping_s is 200: it must be at most")
    status, out, err = dispatch("simulate", "--date", "2024-03-04", "--drivers", "from-data")
    assert (status, out) == (2, "")
    assert [line.split()[0] for line in err.splitlines()[1:]] == ["--date", "--drivers"]
