"""Least cost where columns are scarce: both sides bid in turn for prices, then paths from both sides."""

import numpy as np

from dispatch.kernels.auction import bid, keep_best
from dispatch.kernels.augmentation import augment, new_search
from dispatch.kernels.bipartite import ALLOWED, SCANNED, Edges, turn
from dispatch.kernels.jit import kernel
from dispatch.units import NO_INDEX

SHIFTS = (1, 3, 5)
"""Increments of the auctions: the mean spread of a row's costs, halved so often.

10,000 x 10,000 with 50 edges a row, tight (a perfect matching) and loose: 98 and 63 ms. With 3, 5 alone 169
and 56, with 0, 2, 4, 6 90 and 68, with 1, 4 97 and 65.
"""
SCANS_PER_EDGE = 30
"""No auction goes on longer; paths can mend whatever it leaves."""


@kernel(makes_arrays=True)
def mean_spread(edges):
    """Give the mean difference between the highest and the least cost of a row."""
    total, num_rows = 0.0, len(edges.first) - 1
    for row in range(num_rows):
        if edges.first[row] < edges.first[row + 1]:
            of_row = edges.cost[edges.first[row] : edges.first[row + 1]]
            total += of_row.max() - of_row.min()
    return int(total / num_rows)


@kernel()
def _in_need(columns, matching, out_columns):
    """List the free ones of `columns` whose price is not yet 0; give their number."""
    num_columns = 0
    for column in columns:
        if matching.row_of_column[column] == NO_INDEX and matching.column_price[column] < 0:
            out_columns[num_columns] = column
            num_columns += 1
    return num_columns


@kernel(makes_arrays=True)
def match_members(rows, columns, chosen, penalty, epsilons, work, out_matching, out_mirrored):
    """Match some rows and columns at the least cost, by auction and then exactly.

    Rows and columns bid in turn: the columns undo what prices fell too far where in the end nobody bids.
    `chosen` are the rows and the columns, ``(of_rows, of_columns)``; `penalty` is theirs, zeros for the
    columns. With no `epsilons` the matching is mended as it stands. The answer stands in both matchings.
    Returns whether all of the work was done.
    """
    members, others = chosen
    row_penalty, column_penalty = penalty
    waiting = np.empty(max(len(members), len(others)), np.int32)
    max_scans = SCANS_PER_EDGE * len(rows.cost)
    for epsilon in epsilons:
        for row in members:
            out_matching.edge_of_row[row] = NO_INDEX
        for column in others:
            out_matching.row_of_column[column] = NO_INDEX
        bid(rows, row_penalty, members, epsilon, max_scans, work, out_matching)
        num_waiting = _in_need(others, out_matching, waiting)
        turn(rows, row_penalty, members, others, out_matching, out_mirrored)
        bid(columns, column_penalty, waiting[:num_waiting], epsilon, max_scans, work, out_mirrored)
        turn(columns, column_penalty, others, members, out_mirrored, out_matching)
        if work[SCANNED] > work[ALLOWED]:
            return False
    search = new_search(max(len(rows.first), len(columns.first)), len(rows.cost))
    num_waiting = keep_best(rows, row_penalty, members, work, waiting, out_matching)
    if not augment(rows, row_penalty, waiting[:num_waiting], search, work, out_matching):
        return False
    num_waiting = _in_need(others, out_matching, waiting)
    turn(rows, row_penalty, members, others, out_matching, out_mirrored)
    # Prices of rows are not below 0, as early ends of scans would need.
    unsorted = Edges(columns.first, columns.column, columns.cost, columns.mirror, False)
    done = augment(unsorted, column_penalty, waiting[:num_waiting], search, work, out_mirrored)
    turn(columns, column_penalty, others, members, out_mirrored, out_matching)
    return done


@kernel(makes_arrays=True)
def auction_steps(edges, only_last):
    """Give the increments of the auctions, coarse first."""
    spread = mean_spread(edges)
    steps = np.array([max(spread >> shift, 1) for shift in SHIFTS])
    return steps[-1:] if only_last else steps[: 1 + np.sum(steps > steps[-1])]
