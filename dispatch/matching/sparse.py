"""Assignment on a scipy.sparse matrix, with the signature that scipy made familiar."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.matching.assignment import Assignment
from dispatch.matching.exact_costs import BITS
from dispatch.matching.problem import AssignmentProblem
from dispatch.matching.solve import solve
from dispatch.units import INDEX_DTYPE, NO_INDEX

_COARSENESS: Final = 2.0**30
"""A sum of weights is at least so many times what rounding may hide of it."""


def min_weight_full_bipartite_matching(
    biadjacency: Any, maximize: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Match as many rows and columns as possible at the least sum of weights.

    A replacement for :func:`scipy.sparse.csgraph.min_weight_full_bipartite_matching`: same arguments, same
    answer (another one of the same weight, perhaps, where there are several). It also answers what scipy
    refuses: weights of zero are edges like others if they are stored, and where not all rows (columns, if
    they are fewer) can be matched, as many are as possible.

    Parameters
    ----------
    biadjacency : (rows, columns) sparse matrix or array
        The stored entries are the edges, of several in one place the least (greatest) counts.
    maximize : bool
        Look for the greatest sum instead.

    Returns
    -------
    row_ind, col_ind : (matched,) int64
        The pairs, rows ascending; fewer than ``min(rows, columns)`` where no more can be matched.

    Raises
    ------
    InputError
        The matrix is not sparse, or a weight is no finite number. It is a ``ValueError``.
    """
    if not hasattr(biadjacency, "tocoo"):
        raise InputError(
            f"biadjacency is {type(biadjacency).__name__}: it must be sparse; for full matrices there is "
            "linear_sum_assignment"
        )
    num_rows, num_columns = biadjacency.shape
    entries = biadjacency.tocoo()
    weight = _weights(entries.data, maximize)
    # Not through tocsr, which adds up entries in the same place.
    by_row = np.argsort(entries.row, kind="stable")
    first = np.zeros(num_rows + 1, INDEX_DTYPE)
    np.cumsum(np.bincount(entries.row, minlength=num_rows), out=first[1:])
    problem = AssignmentProblem(first, entries.col[by_row].astype(INDEX_DTYPE), weight[by_row], num_columns)
    answer = solve(problem)
    column = answer.driver_of_order
    row = np.flatnonzero(column != NO_INDEX)
    if 0 < answer.total_cost < len(row) * answer.price_unit * _COARSENESS and not _is_whole(weight, answer):
        raise InputError(
            f"biadjacency holds weights {weight.max()} apart, where the best are {answer.total_cost} in sum: "
            "so far apart they cannot be counted; leave out forbidden pairs, do not give them huge weights"
        )
    return row, column[row].astype(np.int64)


def _is_whole(weight: NDArray[Any], answer: Assignment) -> bool:
    """Whether all weights are whole units of the prices."""
    return bool((np.rint(weight / answer.price_unit) * answer.price_unit == weight).all())


def _weights(data: NDArray[Any], maximize: bool) -> NDArray[Any]:
    """Give the weights above the least, to be minimized: every pair of a largest matching pays that once."""
    if not (np.issubdtype(data.dtype, np.number) or data.dtype == np.bool_) or np.iscomplexobj(data):
        raise InputError(f"biadjacency holds {data.dtype}: it must hold real numbers")
    if np.issubdtype(data.dtype, np.floating):
        wrong = ~np.isfinite(data)
        if wrong.any():
            found = data[np.argmax(wrong)]
            raise InputError(f"biadjacency holds {found}: weights are finite; leave out what is forbidden")
        values = data.astype(np.float64)
    else:
        values = data.astype(np.int64)
        if data.dtype == np.uint64 and (values < 0).any():
            raise InputError("biadjacency holds integers beyond 2**63: use a coarser unit")
    if not len(values):
        return values
    least, highest = values.min(), values.max()
    if values.dtype == np.int64 and int(highest) - int(least) >= 2**BITS:
        raise InputError(
            f"biadjacency holds {least} to {highest}: too far apart to be added up, use a coarser unit"
        )
    above: NDArray[Any] = highest - values if maximize else values - least
    return above
