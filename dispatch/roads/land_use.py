"""What the nodes of a city are good for: where its trips begin and end."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import InputError


@dataclass(frozen=True)
class LandUse:
    """Share of the city's homes, jobs, leisure and air travel at each node.

    Each column is scaled to a sum of 1 when the object is made, so that it can be drawn from as it stands. A
    city without an airport has no such column, rather than one of zeros: nobody travels there.

    Raises
    ------
    InputError
        A column is not one-dimensional, differs in length, holds a negative or non-finite weight, or sums to
        0.
    """

    homes: NDArray[np.float64]
    """(nodes,) where people live"""
    jobs: NDArray[np.float64]
    """(nodes,) where they work"""
    leisure: NDArray[np.float64]
    """(nodes,) restaurants, bars, shops, beaches"""
    airport: NDArray[np.float64] | None = None
    """(nodes,) terminals, None: the city has no airport"""
    parks: Any = None
    """shapely geometry in degrees, for drawing, or None"""

    def __post_init__(self) -> None:
        for name in USES:
            if name == "airport" and self.airport is None:
                continue
            object.__setattr__(self, name, _shares(name, getattr(self, name)))
            if len(getattr(self, name)) != len(self.homes):
                raise InputError(
                    f"{name} holds {len(getattr(self, name))} weights and homes {len(self.homes)}: "
                    "give one weight per node in every column"
                )

    def __len__(self) -> int:
        return len(self.homes)


USES = tuple(f.name for f in fields(LandUse) if f.name != "parks")
"""The columns of weights."""


def _shares(name: str, weights: Any) -> NDArray[np.float64]:
    """Check one column and scale it to a sum of 1."""
    try:
        array = np.array(weights, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is not an array of numbers ({error}): give one weight per node") from error
    if array.ndim != 1:
        raise InputError(
            f"{name} has the shape {array.shape}: it must be one weight per node, shape (nodes,)"
        )
    wrong = np.flatnonzero(~(np.isfinite(array) & (array >= 0)))
    if len(wrong):
        row = int(wrong[0])
        raise InputError(f"{name}[{row}] is {array[row]}: a weight must be a finite number, 0 or more")
    peak = array.max(initial=0.0)
    if peak == 0:
        raise InputError(f"{name} sums to 0: give at least one node a positive weight")
    array /= peak  # first: the plain sum of very large or very small weights leaves the range of float64
    array /= array.sum()
    return array
