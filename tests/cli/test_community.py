"""``dispatch community``."""

import json
import re
import signal
from importlib.resources import files

import pytest
from typer.testing import CliRunner

from dispatch.analysis.page_file import page_part
from dispatch.cli import app
from dispatch.cli.console import INTERRUPTED
from dispatch.errors import InputError
from dispatch.sim.community_days import CommunityDays

SMALL = ["--days", "2", "--customers", "200", "--orders", "100", "--drivers", "10"]


@pytest.fixture(scope="module")
def near_tiers(tmp_path_factory):
    """Rules of a business whose silver tier is reached on the first ride."""
    path = tmp_path_factory.mktemp("rules") / "near.toml"
    text = (files("dispatch.crm") / "verticals" / "ride.toml").read_text(encoding="utf-8")
    assert "at_least = 20_000" in text
    path.write_text(text.replace("at_least = 20_000", "at_least = 100"))
    return path


def test_days_with_the_crm_behind_them(tmp_path, near_tiers):
    db, told, page = tmp_path / "crm.db", tmp_path / "days.json", tmp_path / "days.html"
    options = ["--db", str(db), "--vertical", str(near_tiers), "--json", str(told), "--report", str(page)]
    done = CliRunner().invoke(app, ["community", *SMALL, *options])
    assert done.exit_code == 0, done.output
    for words in ("2 days, synthetic", "Dissatisfied (synthetic)", "events applied", "Of them silent"):
        assert words in done.output
    days = json.loads(told.read_text())
    assert [day["day"] for day in days] == [0, 1]
    assert days[0]["kpis"]["completion_share"] > 0
    assert sum(days[0]["by_tier"]["num_orders"]) == days[0]["num_orders"]
    assert 0 < days[0]["num_active"] <= days[0]["num_orders"]
    assert "Tier gap to basic" in done.output
    last = days[1]["by_tier"]
    assert last["tier"][:2] == [0, 1]
    gap = last["completion_share"][1] - last["completion_share"][0]
    row = next(line for line in done.output.splitlines() if "Completed orders: silver" in line)
    assert f"{abs(100 * gap):.1f} points" in row
    assert row.split("│")[2].strip() == "–", "on the first day nobody had a tier yet"
    text = page.read_text(encoding="utf-8")
    orders = sum(day["num_orders"] for day in days)
    assert f'<span class="value">{orders:,}</span>' in text
    assert 'id="tier-response_p50_s-1"' in text
    assert "the engine is told tiers and scores" in text
    assert 'role="alert"' not in text
    place = ["--place", "simulated/city"]
    report = CliRunner().invoke(app, ["crm", "report", "--db", str(db), *place])
    assert report.exit_code == 0, report.output
    assert "2024-01-01 … 2024-01-02 · UTC · the latest with data" in report.output
    assert "Orders by period" in report.output


def test_after_ctrl_c_the_days_until_then_are_reported(tmp_path, monkeypatch):
    """The signal comes while the first day passes: that day ends whole, and no other begins."""
    next_day = CommunityDays._next_day

    def interrupted(run, day):
        signal.raise_signal(signal.SIGINT)
        return next_day(run, day)

    monkeypatch.setattr(CommunityDays, "_next_day", interrupted)
    told, page = tmp_path / "days.json", tmp_path / "days.html"
    done = CliRunner().invoke(
        app, ["community", *SMALL, "--days", "9", "--json", str(told), "--report", str(page)]
    )
    assert done.exit_code == INTERRUPTED, done.output
    assert "interrupted: the days until then are whole" in done.output
    assert [day["day"] for day in json.loads(told.read_text())] == [0]
    text = page.read_text(encoding="utf-8")
    assert "Interrupted: 1 of 9 days are over." in text
    assert "All orders were of one tier" in text, "there is no CRM that keeps any"
    assert re.search(r"CRM behind the engine</th><td[^>]*>none<", text)
    assert page_part("report.css") in text


def test_what_cannot_be_is_refused_before_any_work(tmp_path):
    runner = CliRunner()
    nowhere, db = str(tmp_path / "no" / "x"), str(tmp_path / "crm.db")
    for options, words in (
        (["--without", "points"], "--without is 'points'"),
        (["--days", "0"], "days"),
        (["--json", nowhere], "folder does not exist"),
        (["--report", nowhere], "--report is .*folder does not exist"),
        (["--report", str(tmp_path)], "that is a folder"),
        (["--vertical", "taxi"], "vertical is 'taxi'"),
        *(
            (["--vertical", name], f"vertical is '{name}': .* complains of .*no_car.* take ride")
            for name in ("delivery", "fuel")
        ),
    ):
        with pytest.raises(InputError, match=words):
            runner.invoke(app, ["community", *SMALL, "--db", db, *options], catch_exceptions=False)
    assert not list(tmp_path.iterdir()), "nothing is left behind"
