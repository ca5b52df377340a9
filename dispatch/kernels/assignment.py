"""Exact sparse assignment: which of the kernels does what, in which order."""

from typing import NamedTuple

import numpy as np

from dispatch.kernels.auction import bid
from dispatch.kernels.augmentation import augment, new_search
from dispatch.kernels.bipartite import EXCLUDED, MATCHING, Edges, empty_matching, mirrored, survey, turn
from dispatch.kernels.jit import I32, I64, i64, kernel, record
from dispatch.kernels.largest_matching import UNREACHED, match_most
from dispatch.kernels.row_reduction import reduce_rows
from dispatch.kernels.two_sided import SCANS_PER_EDGE, auction_steps, match_members, mean_spread
from dispatch.units import NO_INDEX

REDUCTION_STEPS_PER_ROW = 3
"""How long price wars without increments last.

5,000 clustered orders and drivers, 20 candidates each: 1, 3, 10, 30, 100 steps made 201, 183, 180, 195,
209 ms; with drivers to spare (1,000 orders, 3,000 drivers) 0.22 ms at 1 and 0.16 ms at 3 and above.
"""
ROWS_PER_WAITING_ROW = 12
"""Columns are scarce where more than one row in so many waits after the reduction."""
ROWS_PER_COLUMN = 2
"""With so many rows to a column the columns choose: 246 x 14 took 149 us from the rows' side, so 40."""
FEW_ROWS = 100
"""Below this number of rows paths alone are as fast."""
LARGEST_PENALTY = 2**59
"""Leaves room in int64 for the sums that are formed."""
ROUGH_STEP, ROUGH_PENALTY = 2, 24
"""Increment and penalty of the auction before the largest matching, in mean spreads of a row's costs."""
DONE, CUT_SHORT, TOO_LARGE = 0, 1, 2
"""Status: all of the work was done, less was allowed, or the numbers do not fit."""


class Earlier(NamedTuple):
    """An assignment of the same columns to other rows, to start from."""

    penalty: int
    """Highest penalty of that assignment; 0 if there is none"""
    column_price: np.ndarray
    """(columns,) int64, not positive; (0,) if there is none"""


class Outcome(NamedTuple):
    """What becomes of each row."""

    penalty: np.ndarray
    """(rows,) int64, cost of leaving it unmatched"""
    column: np.ndarray
    """(rows,) int32, ``NO_INDEX`` if unmatched"""
    price: np.ndarray
    """(rows,) int64"""


EARLIER = record(Earlier, i64, I64)
OUTCOME = record(Outcome, I64, I32, I64)


@kernel(makes_arrays=True)
def _indices(chosen):
    """List where a mask is set."""
    return np.nonzero(chosen)[0].astype(np.int32)


@kernel(makes_arrays=True)
def _numbers(size):
    """Count from 0; numba's arange counts in int64 whatever it is given."""
    return np.arange(size).astype(np.int32)


@kernel()
def _start_prices(earlier_penalty, columns, out_price):
    """Take prices of an earlier assignment over where they tell of columns that were not cut off then."""
    for column in columns:
        price = out_price[column]
        out_price[column] = price if -(earlier_penalty >> 1) < price < 0 else 0


@kernel(makes_arrays=True)
def _match_least(edges, penalty, earlier_penalty, work, out_matching):
    """Match all rows at the least sum of costs and penalties; return whether all of the work was done."""
    num_columns = len(out_matching.row_of_column)
    members, others = _numbers(len(penalty)), _numbers(num_columns)
    _start_prices(earlier_penalty, others, out_matching.column_price)
    rows, columns = mirrored(edges, num_columns)
    back = empty_matching(num_columns, len(penalty))
    penalties = (penalty, np.zeros(num_columns, np.int64))
    epsilons = auction_steps(edges, earlier_penalty > 0)
    return match_members(rows, columns, (members, others), penalties, epsilons, work, out_matching, back)


@kernel(makes_arrays=True)
def _match_roughly(edges, work, out_matching):
    """Match nearly as many rows as possible, by an auction in long steps that rows drop out of late.

    A start for the largest matching; prices stay as they are. On 10,000 x 10,000 with 50 edges a row that
    takes 33 ms from the reduced rows on, and 17 ms with this: it leaves 5 paths to be found, not 1,633. Half
    the steps, or as long ones and rows that drop out after 16 spreads: 23 and 24 ms.
    """
    spread = min(mean_spread(edges) + 1, LARGEST_PENALTY // ROUGH_PENALTY)
    prices = out_matching.column_price.copy()
    _clear(out_matching)
    every_row = _numbers(len(edges.first) - 1)
    penalty = np.full(len(every_row), ROUGH_PENALTY * spread)
    bid(edges, penalty, every_row, ROUGH_STEP * spread, SCANS_PER_EDGE * len(edges.cost), work, out_matching)
    out_matching.column_price[:] = prices


@kernel()
def _clear(out_matching):
    """Free everybody."""
    out_matching.edge_of_row[:] = NO_INDEX
    out_matching.row_of_column[:] = NO_INDEX
    out_matching.column_price[:] = 0


@kernel(makes_arrays=True)
def _match_most(edges, penalty, earlier_penalty, work, out_matching):
    """Match as many rows as possible, at the least cost among all ways to do so.

    The rows that a largest matching cuts off have their columns to themselves: there every column must be
    matched and rows are to choose from, elsewhere every row must and columns are to choose from. Both are
    problems without penalties as large as all costs together, solved from the side that must be matched.

    Returns whether all of the work was done, and a penalty with which the prices prove it.
    """
    num_rows, num_columns = len(penalty), len(out_matching.row_of_column)
    rows, columns = mirrored(edges, num_columns)
    level = np.empty(num_rows, np.int32)
    _match_roughly(edges, work, out_matching)
    if not match_most(rows, columns, work, out_matching, level):
        return False, penalty[0]
    cut_off = level == UNREACHED
    members, cut_off_rows = _indices(~cut_off), _indices(cut_off)
    with_column = np.zeros(num_columns, np.bool_)
    for row in cut_off_rows:
        if out_matching.edge_of_row[row] != NO_INDEX:
            with_column[rows.column[out_matching.edge_of_row[row]]] = True
    others, cut_off_columns = _indices(~with_column), _indices(with_column)
    epsilons, nothing = (
        auction_steps(edges, earlier_penalty > 0),
        np.zeros(max(num_rows, num_columns), np.int64),
    )
    back = empty_matching(num_columns, num_rows)
    _start_prices(earlier_penalty, others, out_matching.column_price)
    out_matching.column_price[cut_off_columns] = EXCLUDED
    done = match_members(
        rows, columns, (members, others), (penalty, nothing), epsilons, work, out_matching, back
    )
    highest = np.int64(0)
    for row in members:
        edge = out_matching.edge_of_row[row]
        if edge != NO_INDEX:
            highest = max(highest, rows.cost[edge] - out_matching.column_price[rows.column[edge]])
    back.column_price[members] = EXCLUDED
    back.column_price[cut_off_rows] = 0
    column_penalty = np.full(num_columns, penalty[0])
    if done:
        done = match_members(
            columns,
            rows,
            (cut_off_columns, cut_off_rows),
            (column_penalty, nothing),
            epsilons,
            work,
            back,
            out_matching,
        )
        turn(columns, column_penalty, cut_off_columns, cut_off_rows, back, out_matching)
        highest += out_matching.column_price[cut_off_columns].max() if len(cut_off_columns) else 0
    else:
        out_matching.column_price[cut_off_columns] = 0
    most = max(penalty[0], highest)
    for column in cut_off_columns:
        out_matching.column_price[column] = min(out_matching.column_price[column] - most, 0)
    return done, most


@kernel()
def _fill(edges, penalty, out_matching):
    """Let each unmatched row take its cheapest column that is free, if that costs less than its penalty."""
    for row in range(len(penalty)):
        if out_matching.edge_of_row[row] != NO_INDEX:
            continue
        best, least = NO_INDEX, penalty[row]
        for edge in range(edges.first[row], edges.first[row + 1]):
            is_free = out_matching.row_of_column[edges.column[edge]] == NO_INDEX
            if is_free and edges.cost[edge] < least:
                best, least = edge, edges.cost[edge]
        if best != NO_INDEX:
            out_matching.edge_of_row[row] = best
            out_matching.row_of_column[edges.column[best]] = row


@kernel()
def _write_outcome(edges, done, matching, out_outcome):
    """Write column and price of each row; return how many are matched and the sum of their costs."""
    num_matched, total_cost = 0, np.int64(0)
    for row in range(len(out_outcome.penalty)):
        edge, price = matching.edge_of_row[row], out_outcome.penalty[row]
        out_outcome.column[row] = NO_INDEX
        if edge != NO_INDEX:
            out_outcome.column[row] = edges.column[edge]
            num_matched += 1
            total_cost += edges.cost[edge]
            if done:
                price = edges.cost[edge] - matching.column_price[edges.column[edge]]
        if not done:
            for other in range(edges.first[row], edges.first[row + 1]):
                price = min(price, edges.cost[other] - matching.column_price[edges.column[other]])
        out_outcome.price[row] = price
    return num_matched, total_cost


@kernel(inline=True, makes_arrays=True)
def _match_rows(edges, most_first, earlier, work, out_matching, out_penalty):
    """Match all rows, whichever are more; return whether all of the work was done."""
    num_rows, price = len(out_penalty), out_matching.column_price
    waiting = np.empty(num_rows, np.int32)
    _clear(out_matching)
    num_waiting = reduce_rows(
        edges, out_penalty, REDUCTION_STEPS_PER_ROW * num_rows, work, waiting, out_matching
    )
    if num_waiting == 0:
        return True
    if num_rows < FEW_ROWS or num_waiting * ROWS_PER_WAITING_ROW <= num_rows:
        search = new_search(len(price), len(edges.cost))
        return augment(edges, out_penalty, waiting[:num_waiting], search, work, out_matching)
    earlier_penalty, earlier_price = earlier
    price[:] = 0
    if earlier_penalty > 0:
        price[:] = earlier_price
    if not most_first:
        return _match_least(edges, out_penalty, earlier_penalty, work, out_matching)
    done, most = _match_most(edges, out_penalty, earlier_penalty, work, out_matching)
    out_penalty[:] = most
    return done


@kernel(inline=True, makes_arrays=True)
def _match_columns(edges, work, out_matching, out_penalty):
    """Match as many as possible where columns are few: they look for rows, of which there are plenty.

    The prices are those found, less the penalty for columns and with it for rows. Returns whether all of the
    work was done.
    """
    num_rows, num_columns = len(out_penalty), len(out_matching.row_of_column)
    _, columns = mirrored(edges, num_columns)
    back, column_penalty = empty_matching(num_columns, num_rows), np.full(num_columns, out_penalty[0])
    nothing = Earlier(0, np.empty(0, np.int64))
    done = _match_rows(columns, True, nothing, work, back, column_penalty)
    most = column_penalty[0]
    turn(columns, column_penalty, _numbers(num_columns), _numbers(num_rows), back, out_matching)
    for column in range(num_columns):
        out_matching.column_price[column] = min(out_matching.column_price[column] - most, 0)
    out_penalty[:] = most
    return done


@kernel(inline=True, makes_arrays=True)
def _match(edges, most_first, earlier, work, out_matching, out_penalty):
    """Match all rows; return whether all of the work was done."""
    if most_first and 0 < ROWS_PER_COLUMN * len(out_matching.row_of_column) <= len(out_penalty):
        return _match_columns(edges, work, out_matching, out_penalty)
    return _match_rows(edges, most_first, earlier, work, out_matching, out_penalty)


@kernel((I32, I32, I64, i64, EARLIER, I64, MATCHING, OUTCOME), makes_arrays=True)
def assign(first, column, cost, num_matchable, earlier, work, out_matching, out_outcome):
    """Match rows with columns at the least sum of costs and penalties; with duals that prove it.

    Parameters
    ----------
    first, column, cost
        The graph, as in :class:`dispatch.kernels.bipartite.Edges`; costs are not negative.
    num_matchable : int
        Where as many rows as possible are to be matched first, at least as many as can be; the penalties are
        then written. Else 0, and the penalties are given.
    earlier : Earlier
        Prices to start from, if they help.
    work : (3,) int64
        Edge scans, augmentations, edge scans that are allowed.
    out_matching : Matching
        With the row prices a lower bound, equal to the cost if all of the work was done.
    out_outcome : Outcome
        Of each row.

    Returns
    -------
    tuple
        ``(status, number of matched rows, sum of their costs)``. After ``TOO_LARGE`` nothing was written.
    """
    _, highest, is_sorted = survey(first, cost)
    penalty = out_outcome.penalty
    if num_matchable > 0:
        if highest > LARGEST_PENALTY // num_matchable:
            return TOO_LARGE, 0, 0
        penalty[:] = num_matchable * max(highest, 1) + 1
    elif highest > LARGEST_PENALTY // max(min(len(penalty), len(out_matching.column_price)), 1):
        return TOO_LARGE, 0, 0
    for row in range(len(penalty)):
        if penalty[row] > LARGEST_PENALTY:
            return TOO_LARGE, 0, 0
    edges = Edges(first, column, cost, np.empty(0, np.int32), is_sorted)
    done = _match(edges, num_matchable > 0, earlier, work, out_matching, penalty)
    if not done:
        _fill(edges, penalty, out_matching)
    num_matched, total_cost = _write_outcome(edges, done, out_matching, out_outcome)
    return (DONE if done else CUT_SHORT), num_matched, total_cost


@kernel((I32, I32, I64, I64, MATCHING, OUTCOME), makes_arrays=True)
def reassign(first, column, cost, work, out_matching, out_outcome):
    """Mend an assignment to which edges were added: what is no longer best is matched anew, the rest stays.

    Parameters
    ----------
    first, column, cost
        The graph, as in :func:`assign`.
    work : (3,) int64
        Edge scans, augmentations, edge scans that are allowed.
    out_matching : Matching
        As :func:`assign` left it, though with the places that the edges have now.
    out_outcome : Outcome
        As :func:`assign` left it; its penalties hold, even where most were to be matched first.

    Returns
    -------
    tuple
        As of :func:`assign`.
    """
    num_rows, num_columns = len(out_outcome.penalty), len(out_matching.row_of_column)
    rows, columns = mirrored(Edges(first, column, cost, np.empty(0, np.int32), False), num_columns)
    members, others = _numbers(num_rows), _numbers(num_columns)
    penalties = (out_outcome.penalty, np.zeros(num_columns, np.int64))
    back, no_auction = empty_matching(num_columns, num_rows), np.empty(0, np.int64)
    done = match_members(rows, columns, (members, others), penalties, no_auction, work, out_matching, back)
    num_matched, total_cost = _write_outcome(rows, done, out_matching, out_outcome)
    return (DONE if done else CUT_SHORT), num_matched, total_cost
