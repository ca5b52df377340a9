"""What a car may not drive one after the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.errors import InputError
from dispatch.units import INDEX_DTYPE


@dataclass(frozen=True)
class ForbiddenTurns:
    """Rules, each a sequence of two or more consecutive arcs that may not be driven one after the other.

    Arcs of rule ``r`` are ``arc[first[r]] … arc[first[r + 1] - 1]``: each begins where the one before ends.
    """

    first: NDArray[np.int32]
    """(rules + 1,)"""
    arc: NDArray[np.int32]
    """(entries,) rows of the graph's arcs"""

    @property
    def num_rules(self) -> int:
        """Number of rules."""
        return len(self.first) - 1

    @classmethod
    def of(cls, rules: list[tuple[int, ...]]) -> ForbiddenTurns:
        """Make rules of sequences of arcs, taken as valid."""
        first = np.zeros(len(rules) + 1, INDEX_DTYPE)
        np.cumsum([len(rule) for rule in rules], out=first[1:])
        return cls(first, np.array([arc for rule in rules for arc in rule], INDEX_DTYPE))

    @classmethod
    def checked(
        cls, first: ArrayLike, arc: ArrayLike, tail: NDArray[np.int32], head: NDArray[np.int32]
    ) -> ForbiddenTurns:
        """Make rules of a caller's arrays.

        Parameters
        ----------
        first : (rules + 1,) whole numbers
            Where the arcs of each rule begin; the last one is the number of entries.
        arc : (entries,) whole numbers
        tail, head : (arcs,) int32
            The graph's arcs.

        Raises
        ------
        InputError
            A rule is too short, names no arc of the graph, or its arcs do not follow each other.
        """
        begin, arcs = np.ascontiguousarray(first, INDEX_DTYPE), np.ascontiguousarray(arc, INDEX_DTYPE)
        if begin.ndim != 1 or not len(begin) or begin[0] != 0 or begin[-1] != len(arcs):
            raise InputError(f"first must go from 0 to {len(arcs)}, the number of entries of arc")
        short = np.flatnonzero(np.diff(begin) < 2)
        if len(short):
            raise InputError(f"first gives rule {short[0]} fewer than two arcs: no turn to forbid")
        unknown = np.flatnonzero((arcs < 0) | (arcs >= len(head)))
        if len(unknown):
            raise InputError(f"arc at row {unknown[0]} is {arcs[unknown[0]]}: the graph has {len(head)} arcs")
        follows = np.ones(len(arcs), np.bool_)
        follows[1:] = head[arcs[:-1]] == tail[arcs[1:]]
        follows[begin[:-1]] = True
        if not follows.all():
            at = int(np.argmin(follows))
            raise InputError(
                f"arc at row {at} is {arcs[at]}, which does not begin where {arcs[at - 1]} ends: the arcs of "
                "a rule must follow each other"
            )
        return cls(begin, arcs)

    def renumbered(self, new_row: NDArray[np.int32]) -> ForbiddenTurns:
        """Give the same rules after arc ``a`` became ``new_row[a]`` (arcs,)."""
        return ForbiddenTurns(self.first, np.ascontiguousarray(new_row[self.arc], INDEX_DTYPE))
