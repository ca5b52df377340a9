"""``dispatch community``."""

import json

import pytest
from typer.testing import CliRunner

from dispatch.cli import app
from dispatch.errors import InputError

SMALL = ["--days", "2", "--customers", "200", "--orders", "100", "--drivers", "10"]


def test_days_with_the_crm_behind_them(tmp_path):
    db, told = tmp_path / "crm.db", tmp_path / "days.json"
    done = CliRunner().invoke(app, ["community", "--db", str(db), *SMALL, "--json", str(told)])
    assert done.exit_code == 0, done.output
    for words in ("2 days, synthetic", "dissatisfied (synthetic)", "events applied", "of them silent"):
        assert words in done.output
    days = json.loads(told.read_text())
    assert [day["day"] for day in days] == [0, 1]
    assert days[0]["kpis"]["completion_share"] > 0
    assert sum(days[0]["by_tier"]["num_orders"]) == days[0]["num_orders"]
    place = ["--place", "simulated/city"]
    report = CliRunner().invoke(app, ["crm", "report", "--db", str(db), *place])
    assert report.exit_code == 0, report.output


def test_what_cannot_be_is_refused_before_any_work(tmp_path):
    runner = CliRunner()
    for options, words in (
        (["--without", "points"], "--without is 'points'"),
        (["--days", "0"], "days"),
        (["--json", str(tmp_path / "no" / "x.json")], "folder does not exist"),
    ):
        with pytest.raises(InputError, match=words):
            runner.invoke(app, ["community", *SMALL, *options], catch_exceptions=False)
