"""Tables of figures: whole in a pipe, turned into several where a terminal is narrow."""

import io
import re

import pytest
from rich.console import Console

from dispatch.cli.figures import print_figures

HEADS = ("Period", "Submitted", "Completed share", "Revenue", "Mean processing", "80 %")
ROWS = [
    (f"2024-01-{day:02d}", f"{day * 1_234_567:,}", f"{day}.5 %", f"{day * 9_876_543:,}.10", "1 h 04 min", "✓")
    for day in range(1, 13)
]


def printed(width, is_terminal, heads=HEADS, rows=ROWS):
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=is_terminal, no_color=True)
    print_figures(console, "Orders [by] period", heads, rows)
    return re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue())


def test_lines_of_a_pipe_are_as_long_as_they_must_be():
    lines = printed(80, False).splitlines()
    assert lines[0].startswith("Orders [by] period")
    assert lines[2].split("  ")[0].strip() == "Period"
    assert "Mean processing" in lines[2], "heads are not folded"
    for row in ROWS:
        assert any(all(cell in line for cell in row) for line in lines)


@pytest.mark.parametrize("width", [30, 46, 80, 200])
def test_a_terminal_is_never_exceeded_and_no_figure_cut(width):
    told = printed(width, True)
    assert "…" not in told
    assert max(map(len, told.splitlines())) <= width
    for row in ROWS:
        lines = [line for line in told.splitlines() if row[0] in line]
        for cell in row[1:]:
            assert any(cell in line for line in lines), cell
    assert told.count("Submitted") == 1, "a column is in one of the tables"
    assert ("continued" in told) == (width < 80)


def test_a_terminal_narrower_than_one_figure_still_shows_it_whole():
    told = printed(12, True)
    assert all(cell in told for row in ROWS for cell in row)


def test_one_column_alone():
    assert "2024-01-02" in printed(80, True, HEADS[:1], [row[:1] for row in ROWS])
