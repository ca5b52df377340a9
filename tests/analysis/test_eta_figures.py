from analysis.eta_tests import CITY, eta_test
from dispatch.analysis.eta_evaluation import CoverageCheck, evaluate_eta
from dispatch.analysis.eta_figures import (
    DEFINITIONS,
    ERROR_COLUMNS,
    WIDTH_COLUMNS,
    check_text,
    error_rows,
    format_seconds,
    group_rows,
    left_out_line,
    level_label,
    loss_rows,
    more_rows,
    more_text,
    summary_lines,
    width_rows,
)
from dispatch.analysis.eta_measures import Between

FOUND = evaluate_eta(eta_test(), CITY)
NARROW = evaluate_eta(eta_test(exact=False), CITY)


def test_numbers_as_people_read_them():
    assert format_seconds(None) == "–"
    assert format_seconds(-1234.56) == "−1,234.6 s"
    assert level_label(0.8) == "P80"
    assert level_label(0.975) == "P97.5"
    assert more_text(Between(21.33, 16.8, 26.86)) == "+21.3 s (16.8 … 26.9)"
    assert more_text(Between(-2.0, -3.0, 0.5)) == "−2.0 s (−3.0 … 0.5)"
    assert more_text(None) == "–"
    assert check_text(CoverageCheck("all trips", 0.8, 0.815, 0.01, 9)) == "81.5 % ✗"
    assert check_text(CoverageCheck("all trips", 0.8, 0.805, 0.01, 9)) == "80.5 % ✓"


def test_every_row_has_a_cell_a_column():
    assert [name for name, _ in error_rows(FOUND)] == [
        "this model", "free flow", "linear in distance", "one ratio",
    ]  # fmt: skip
    assert {len(cells) for _, cells in error_rows(FOUND)} == {len(ERROR_COLUMNS) + 1}
    assert {len(cells) for _, cells in loss_rows(FOUND)} == {4 + 2}
    assert {len(cells) for _, cells in width_rows(FOUND)} == {4 + len(WIDTH_COLUMNS)}
    more = dict(more_rows(FOUND))
    assert list(more) == ["free flow", "linear in distance", "one ratio"]
    assert more["free flow"][1] == "–"
    assert more["one ratio"][1].startswith("+")
    rows = group_rows(FOUND.groups["hour"])
    assert len(rows) == 24
    assert {len(cells) for _, cells in rows} == {1 + len(ERROR_COLUMNS) + 4 + 2}
    own, free, *_ = error_rows(FOUND)
    assert own[1][0] == format_seconds(FOUND.errors["model"].mae_s)
    assert own[1][-1] == ""
    assert free[1][-1].startswith("+")


def test_what_is_out_of_tolerance_is_named():
    (line,) = summary_lines(NARROW)
    failing = sum(not one.passes for one in NARROW.checks)
    assert line.startswith(f"{failing} of 28 shares")
    assert "P10 of all trips" in line
    assert line.endswith(f" and {failing - 8} more.")
    wide = evaluate_eta(eta_test(60_000, seed=3), CITY)
    assert summary_lines(wide)[0].startswith("All 28 shares of coverage are within")


def test_what_was_left_out_is_told():
    assert left_out_line(FOUND) == "Left out of the test: 12 trips with an end off the network."


def test_names_are_defined_once():
    names = [name for name, _ in DEFINITIONS]
    assert len(set(names)) == len(names)
