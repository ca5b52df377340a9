"""Assignment on a full cost matrix, with the signature that scipy made familiar."""

from __future__ import annotations

from math import frexp
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.errors import InputError
from dispatch.kernels.assignment import Earlier, Outcome, assign, reassign
from dispatch.kernels.bipartite import Matching
from dispatch.kernels.dense import append_columns, cheaper_than_priced, costs_in_units, least_of_rows
from dispatch.matching.exact_costs import BITS, MOST_HALVINGS
from dispatch.units import INDEX_DTYPE, NO_INDEX

FIRST_COLUMNS: Final = 16
"""Columns of a row that the first solve looks at.

12 and 16: 105 and 99 ms on uniform 5,000 x 5,000, 5.7 and 6.5 on 1,000 x 1,000, 21 and 17 in a city;
with 6 or 8 some uniform ones need three times as long.
"""
MORE_COLUMNS: Final = 16
"""Columns of a row that each further solve adds, where they cost less than the prices say."""
_FAR: Final = 2.0**10
_NO_LIMIT: Final = 2**62


def linear_sum_assignment(
    cost_matrix: ArrayLike, maximize: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Match rows and columns of a full matrix at the least sum of costs.

    A replacement for :func:`scipy.optimize.linear_sum_assignment`: same arguments, same answer (another
    one of the same cost, perhaps, where there are several).

    Parameters
    ----------
    cost_matrix : (rows, columns) array of numbers
        ``inf`` forbids a pair (``-inf`` if `maximize`).
    maximize : bool
        Look for the greatest sum instead.

    Returns
    -------
    row_ind, col_ind : (min(rows, columns),) int64
        The pairs, rows ascending.

    Raises
    ------
    InputError
        A value is no number, or so many pairs are forbidden that not all rows (columns, if they are fewer)
        can be matched. It is a ``ValueError``, as scipy's.

    Notes
    -----
    The cheapest 16 columns of each row are solved as a sparse problem. Prices then tell in one pass over the
    matrix which other pairs could better it; those are added, and so on until there is none, which is the
    proof. Costs are counted in a power of two that leaves them about 45 significant bits.
    """
    matrix = _checked(cost_matrix, maximize)
    if matrix.shape[0] > matrix.shape[1]:
        columns, rows = _columns(np.ascontiguousarray(matrix.T), "column"), np.arange(matrix.shape[1])
        by_row = np.argsort(columns)
        return columns[by_row].astype(np.int64), rows[by_row]
    return np.arange(len(matrix)), _columns(matrix, "row").astype(np.int64)


class _Scale(NamedTuple):
    """How costs become whole numbers, not negative."""

    units: float
    """Units in a cost of 1"""
    least: float
    """Least cost"""
    highest: int
    """Highest cost above the least, in units"""


def _checked(cost_matrix: ArrayLike, maximize: bool) -> NDArray[np.float64]:
    """Give the costs to minimize as floats; raise for what is no cost."""
    given = np.asarray(cost_matrix)
    if given.ndim != 2:
        raise InputError(f"cost_matrix has the shape {given.shape}: it must have two dimensions")
    if not (np.issubdtype(given.dtype, np.number) or given.dtype == np.bool_) or np.iscomplexobj(given):
        raise InputError(f"cost_matrix holds {given.dtype}: it must hold real numbers")
    if np.issubdtype(given.dtype, np.integer) and given.dtype.itemsize == 8 and given.size:
        largest = max(abs(int(given.min())), abs(int(given.max())))
        if largest > 2**53:
            raise InputError(
                f"cost_matrix holds {largest}: integers beyond 2**53 are not exact here, use a coarser unit"
            )
    matrix = np.ascontiguousarray(given, np.float64)
    if matrix.size:
        end = float(matrix.max() if maximize else matrix.min())
        if np.isnan(end) or end == (np.inf if maximize else -np.inf):
            row, column = np.argwhere(np.isnan(matrix) | (matrix == end))[0]
            raise InputError(
                f"cost_matrix[{row}, {column}] is {matrix[row, column]}: it must be a number; a pair is "
                f"forbidden by {'-' if maximize else ''}inf"
            )
    return np.negative(matrix) if maximize else matrix


def _scale(num_rows: int, least: float, highest: float) -> _Scale:
    """Find the unit for costs in this range."""
    if not np.isfinite(highest - least):
        raise InputError(f"cost_matrix holds {least} to {highest}: too far apart, use a coarser unit")
    halvings = min(BITS - num_rows.bit_length() - frexp(highest - least)[1], MOST_HALVINGS)
    units = 2.0**halvings
    return _Scale(units, least, round((highest - least) * units))


def _columns(matrix: NDArray[np.float64], side: str) -> NDArray[np.int32]:
    """Give the column of each row; there are no more rows than columns."""
    num_rows, num_columns = matrix.shape
    if num_rows == 0:
        return np.empty(0, INDEX_DTYPE)
    least, highest = float(matrix.min()), float(matrix.max())
    if highest == np.inf:
        highest = float(matrix.max(where=matrix < np.inf, initial=-np.inf))
    if highest == -np.inf or least == np.inf:
        raise InputError("cost_matrix forbids every pair: nothing can be matched")
    k = min(FIRST_COLUMNS, num_columns)
    column = np.empty(num_rows * k, INDEX_DTYPE)
    least_of_rows(matrix, k, column)
    first = np.arange(0, num_rows * k + 1, k, dtype=INDEX_DTYPE)
    first, column = _only_allowed(matrix, first, column)
    # Whoever forbids by a huge cost would leave the others no bits. What costs more than as many rows at the
    # highest cost so far can wait: if all are matched for less in sum, nobody needs it.
    near = float(matrix[np.repeat(np.arange(num_rows), np.diff(first)), column].max(initial=least))
    limit = num_rows * (near - least)
    if highest - least > _FAR * limit:
        capped = np.where(matrix - least > limit, np.inf, matrix)
        answer = _answer(capped, first, column, _scale(num_rows, least, least + limit))
        if answer.num_matched == num_rows:
            total = float((matrix[np.arange(num_rows), answer.outcome.column] - least).sum())
            if total <= limit:
                return answer.outcome.column
    answer = _answer(matrix, first, column, _scale(num_rows, least, highest))
    if answer.num_matched < num_rows:
        row = int(np.argmax(answer.outcome.column == NO_INDEX))
        raise InputError(
            f"cost_matrix forbids too many pairs: only {answer.num_matched} of {num_rows} {side}s can be "
            f"matched, for one not {side} {row}"
        )
    return answer.outcome.column


def _answer(
    matrix: NDArray[np.float64], first: NDArray[np.int32], column: NDArray[np.int32], scale: _Scale
) -> _Answer:
    """Match as many rows as possible, at the least cost, on the whole matrix."""
    num_rows = len(matrix)
    answer, more = _solve(matrix, first, column, scale), np.empty(num_rows * MORE_COLUMNS, INDEX_DTYPE)
    while True:
        price = answer.matching.column_price
        found = cheaper_than_priced(matrix, scale.units, scale.least, answer.outcome.price, price, more)
        if found == 0 and (answer.num_matched == num_rows or not answer.is_mended):
            return answer
        if found > 0:
            longer, longer_first = np.empty(len(column) + found, INDEX_DTYPE), np.empty_like(first)
            append_columns(first, column, more, answer.matching.edge_of_row, longer_first, longer)
            first, column = longer_first, longer
        if answer.num_matched == num_rows:
            answer = _mend(matrix, first, column, scale, answer)
        else:
            answer = _solve(matrix, first, column, scale)


def _only_allowed(
    matrix: NDArray[np.float64], first: NDArray[np.int32], column: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Leave out forbidden pairs."""
    row = np.repeat(np.arange(len(matrix)), np.diff(first))
    allowed = np.isfinite(matrix[row, column])
    num_allowed = np.bincount(row[allowed], minlength=len(matrix))
    return np.concatenate([[0], np.cumsum(num_allowed)]).astype(INDEX_DTYPE), column[allowed]


class _Answer(NamedTuple):
    """What the pairs looked at so far give."""

    matching: Matching
    outcome: Outcome
    num_matched: int
    is_mended: bool
    """Its penalties may be too small for most matched to come first"""


def _mend(
    matrix: NDArray[np.float64],
    first: NDArray[np.int32],
    column: NDArray[np.int32],
    scale: _Scale,
    answer: _Answer,
) -> _Answer:
    """Match anew what added pairs have made worse than best."""
    cost = np.empty(len(column), np.int64)
    costs_in_units(matrix, first, column, scale.units, scale.least, cost)
    work = np.array([0, 0, _NO_LIMIT])
    _, num_matched, _ = reassign(first, column, cost, work, answer.matching, answer.outcome)
    return _Answer(answer.matching, answer.outcome, num_matched, True)


def _solve(
    matrix: NDArray[np.float64], first: NDArray[np.int32], column: NDArray[np.int32], scale: _Scale
) -> _Answer:
    """Match as many rows as possible on these pairs alone."""
    num_rows, num_columns = matrix.shape
    cost = np.empty(len(column), np.int64)
    costs_in_units(matrix, first, column, scale.units, scale.least, cost)
    # A penalty that is safe for the whole matrix, though these pairs may all be cheap.
    highest = max(int(cost.max(initial=0)), 1)
    num_matchable = max(num_rows * -(-scale.highest // highest), 1)
    matching = Matching(
        np.empty(num_rows, INDEX_DTYPE), np.empty(num_columns, INDEX_DTYPE), np.empty(num_columns, np.int64)
    )
    outcome = Outcome(
        np.empty(num_rows, np.int64), np.empty(num_rows, INDEX_DTYPE), np.empty(num_rows, np.int64)
    )
    earlier, work = Earlier(0, np.empty(0, np.int64)), np.array([0, 0, _NO_LIMIT])
    _, num_matched, _ = assign(first, column, cost, num_matchable, earlier, work, matching, outcome)
    return _Answer(matching, outcome, num_matched, False)
