"""Tables of figures on a terminal, in a file or a pipe: no figure is ever cut."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

_AS_WIDE_AS_IT_IS: Final = 100_000


def print_figures(console: Console, title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows of cells (rows, columns) under their heads (columns,), the first of which names the row.

    What is too wide for the terminal is told in several tables, one below the other, each with the first
    column. What is no terminal's width does not matter to: a line there is as long as it must be.

    Parameters
    ----------
    console : rich.console.Console
    title : str
    heads : sequence of str
        (columns,)
    rows : sequence of sequences of str
        (rows, columns)
    """
    if not console.is_terminal:
        _print(console, _table(title, heads, rows))
        return
    folded = [_folded(head, [row[column] for row in rows]) for column, head in enumerate(heads)]
    left = list(range(1, len(heads)))
    shown_title = title
    while True:
        many = next(
            (
                many
                for many in range(len(left), 1, -1)
                if _width(console, _part(shown_title, folded, rows, left[:many])) <= console.width
            ),
            1,
        )
        _print(console, _part(shown_title, folded, rows, left[:many]))
        left, shown_title = left[many:], f"{title}, continued"
        if not left:
            return


def _part(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], columns: Sequence[int]) -> Table:
    """Make the table of the first column and some others."""
    chosen = [0, *columns]
    return _table(title, [heads[one] for one in chosen], [[row[one] for one in chosen] for row in rows])


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(
        title=escape(title),
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for column, head in enumerate(heads):
        side: JustifyMethod = "right" if column else "left"
        table.add_column(escape(head), justify=side, no_wrap=True, vertical="bottom")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    return table


def _folded(head: str, cells: Sequence[str]) -> str:
    """Fold a head between its words, so that it is hardly wider than what stands below it."""
    kept = head.replace(" %", "\u00a0%")
    width = max(len(text) for text in (*cells, *kept.split(" ")))
    return "\n".join(textwrap.wrap(kept, width, break_long_words=False, break_on_hyphens=False))


def _width(console: Console, table: Table) -> int:
    free = console.options.update(max_width=_AS_WIDE_AS_IT_IS)
    return Measurement.get(console, free, table).maximum


def _print(console: Console, table: Table) -> None:
    width = _width(console, table)
    if width > console.width:  # as in a pipe, which has none: a console would cut at its own
        console = Console(file=console.file, width=width, force_terminal=console.is_terminal)
    console.print(table, highlight=False)
