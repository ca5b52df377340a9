from dataclasses import replace

import numpy as np

from analysis.runs import record
from dispatch.analysis.charts import run_tables
from dispatch.analysis.kpi_list import KPI
from dispatch.analysis.report_tables import (
    GROUPS,
    PARKED_NOTE,
    beside_empty_driving,
    better_runs,
    cards,
    kpi_table,
    notes,
    run_legend,
    settings,
    title_parts,
)
from dispatch.analysis.run_record import RunRecord
from dispatch.engine.events import EVENT_DTYPE


def test_the_better_value_is_marked_by_its_direction_and_not_where_equal():
    class Table:
        def __init__(self, **values):
            self.run = RunRecord("x", {}, np.empty(0, EVENT_DTYPE), values)

    names = ("completion_share", "wait_mean_s", "busy_share", "expired_share", "golden5_share")
    low = Table(**dict(zip(names, (0.8, 60.0, 0.1, 0.50001, None), strict=True)))
    high = Table(**dict(zip(names, (0.9, 90.0, 0.2, 0.50002, 0.5), strict=True)))
    got = {name: better_runs(KPI[name], [low, high]) for name in names}
    assert got == {
        "completion_share": {1},
        "wait_mean_s": {0},
        "busy_share": set(),
        "expired_share": set(),
        "golden5_share": set(),
    }


def test_groups_hold_every_kpi_once():
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(KPI)


def test_that_drivers_park_is_said_only_where_all_of_them_do():
    one = record(1, "a")
    parked, cruised = (
        replace(one, kpis={**one.kpis, "empty_km_idle_share": share, "empty_km_repositioning_share": 0.0})
        for share in (0.0, 0.1)
    )
    for runs, expected in (([parked], True), ([parked, cruised], False)):
        tables = run_tables(runs, "UTC")
        assert (PARKED_NOTE in beside_empty_driving(tables, None)) == expected
        assert ("parked drivers save cruising" in cards(tables, None)) == expected
        assert ("Cruising included" in cards(tables, None)) != expected


def test_a_title_says_each_thing_once():
    runs = [record(1, "a"), record(2, "b", policy="nearest"), record(3, "c", date=None)]
    assert title_parts("san_francisco", runs) == ["San Francisco", "2008-05-31", "batch vs nearest"]
    assert title_parts("Port of X", [record(1, "a", date=None, policy=None)]) == ["Port of X"]


def test_notes_of_all_runs_stand_once_and_others_name_their_run():
    tables = run_tables(
        [record(1, "a"), record(2, "b", notes=["Only here.", *record(1, "a").meta["notes"]])], "UTC"
    )
    html = notes(tables)
    assert html.count("Request time is the recorded boarding.") == 1
    assert "<b>b:</b> Only here." in html
    assert notes(run_tables([record(1, "a", notes=[])], "UTC")) == ""


def test_settings_list_what_was_told_in_one_row_each():
    html = settings(
        run_tables([record(1, "a", my_own=True, timezone=None), record(2, "b", partial=False)], "UTC")
    )
    assert html.count("<tr>") == 1 + len(("date", "policy", "seed", "orders", "wall_s", "my_own"))
    assert "My own" in html
    assert "yes" in html
    assert "1,234" in html
    assert "Time zone" not in html


def test_a_legend_names_runs_only_where_there_are_several():
    one, two = run_tables([record(1, "a")], "UTC"), run_tables([record(1, "a"), record(2, "b")], "UTC")
    assert run_legend(one) == ""
    assert run_legend(one, "median", "p90").count("<span>") == 2
    assert run_legend(two, "median", "p90").count("<span>") == 4


def test_what_was_not_measured_is_a_dash_and_the_fare_rule_a_setting():
    tables = run_tables([record(1, "a", fare_rule="fare = max(5.00, 3.50)")], "UTC")
    values = dict(tables[0].run.kpis) | {"customer_cancel_share": None}
    unmeasured = run_tables([replace(tables[0].run, kpis=values)], "UTC")
    row = kpi_table(unmeasured, None).split("Cancelled by customers")[1].split("</tr>")[0]
    assert row.endswith('<td class="none">–</td>')
    assert '<th scope="row">Declared fare rule</th>' in settings(tables)
    assert "fare = max(5.00, 3.50)" in settings(tables)
