"""Forbidden turns as a table: one row for each edge of each rule, in the order of driving."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.roads.forbidden_turns import ForbiddenTurns
from dispatch.roads.tables import Column, Dropped, read_table
from dispatch.units import NO_INDEX

TURN_COLUMNS: Final = (Column("rule", (), "whole", required=True), Column("edge", (), "whole", required=True))
"""``edge`` is a row of the table of edges, from 0."""


def read_turns(
    path: Path, tail: NDArray[np.int64], head: NDArray[np.int64], edge_of_row: NDArray[np.int32]
) -> tuple[ForbiddenTurns | None, tuple[Dropped, ...]]:
    """Read the rules of a file.

    Parameters
    ----------
    path : Path
    tail, head : (rows,) int64
        Where the edges of the table of edges begin and end.
    edge_of_row : (rows,) int32
        What became of each edge of that table, NO_INDEX: it was left out.

    Returns
    -------
    forbidden : ForbiddenTurns or None
        In terms of `edge_of_row`; None if no rule is left.
    drops : tuple of Dropped
        Rules over edges that were left out.

    Raises
    ------
    InputError
        The file is unreadable, or a rule names no edge, or edges that do not follow each other.
    """
    table = read_table(path, TURN_COLUMNS)
    (rule, rule_known), (edge, edge_known) = table.wholes("rule"), table.wholes("edge")
    known = rule_known & edge_known
    if not known.all():
        raise InputError(
            f"{path}: row {np.argmin(known)} has an empty cell; each row needs a rule and an edge"
        )
    possible = (edge >= 0) & (edge < len(tail))
    if not possible.all():
        at = int(np.argmin(possible))
        raise InputError(f"{path}: edge at row {at} is {edge[at]}; the table of edges has {len(tail)} rows")
    order = np.argsort(rule, kind="stable")
    new = np.append(True, rule[order][1:] != rule[order][:-1])
    first = np.append(np.flatnonzero(new), len(order))
    try:
        forbidden = ForbiddenTurns.checked(
            first, edge[order], tail.astype(np.int32), head.astype(np.int32)
        ).renumbered(edge_of_row)
    except InputError as error:
        raise InputError(f"{path}: rules sorted by number: {error}") from error
    gone = np.logical_or.reduceat(forbidden.arc == NO_INDEX, first[:-1])
    size = np.diff(first)
    left = ForbiddenTurns(
        np.append(0, np.cumsum(size[~gone])).astype(np.int32), forbidden.arc[np.repeat(~gone, size)]
    )
    what = "forbidden turns over edges that were left out"
    drops = (Dropped(what, int(np.count_nonzero(gone)), path.name),) if gone.any() else ()
    return left if left.num_rules else None, drops
