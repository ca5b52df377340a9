"""Prices by auction: rows outbid each other until everybody holds a column that is nearly their best."""

import numpy as np

from dispatch.kernels.bipartite import ALLOWED, EDGES, MATCHING, SCANNED
from dispatch.kernels.jit import I32, I64, i64, kernel
from dispatch.units import NO_INDEX


@kernel((EDGES, I64, I32, i64, i64, I64, MATCHING))
def bid(edges, penalty, bidders, epsilon, max_scans, work, out_matching):
    """Let unmatched rows bid for columns, and those they displace, until all are content.

    A row takes its best column at present prices and makes it dearer, by what it would lose with its second
    choice and `epsilon` more. In the end every bidder's column, or going unmatched, is within `epsilon` of
    its best choice. One pass costs few scans, since a war between rows is over in steps of `epsilon`.

    Parameters
    ----------
    edges : Edges
        The graph; its mirror is not used.
    penalty : (rows,) int64
        Cost of leaving a row unmatched.
    bidders : (n,) int32
        Rows that look for a column; those that have one are passed over.
    epsilon : int
        At least 1.
    max_scans : int
        The auction ends early after about so many edge scans, or when no more are allowed.
    work : (3,) int64
        Edge scans are added up.
    out_matching : Matching
        Prices fall.

    Notes
    -----
    Bertsekas (1988), "The auction algorithm: a distributed relaxation method for the assignment problem",
    Annals of Operations Research 14.
    """
    # Ending the scan of a sorted row early is of no use here, and wrong where prices are positive.
    first, columns, cost = edges.first, edges.column, edges.cost
    edge_of_row, row_of_column, price = out_matching
    scanned, max_scans = 0, min(max_scans, work[ALLOWED] - work[SCANNED])
    for start in bidders:
        row = start if edge_of_row[start] == NO_INDEX else NO_INDEX
        while row != NO_INDEX and scanned <= max_scans:
            best, best_cost, second_cost = NO_INDEX, penalty[row], penalty[row]
            for edge in range(first[row], first[row + 1]):
                # Without branches: 3.7, not 5.0 ns an edge with 20 edges a row; 3.2, not 3.5 with 50.
                reduced = cost[edge] - price[columns[edge]]
                second_cost = min(second_cost, max(reduced, best_cost))
                best = edge if reduced < best_cost else best
                best_cost = min(reduced, best_cost)
            scanned += first[row + 1] - first[row]
            if best == NO_INDEX:
                break
            taken = columns[best]
            held_by = row_of_column[taken]
            price[taken] -= min(second_cost + epsilon, penalty[row]) - best_cost
            row_of_column[taken] = row
            edge_of_row[row] = best
            if held_by != NO_INDEX:
                edge_of_row[held_by] = NO_INDEX
            row = held_by
    work[SCANNED] += scanned


@kernel((EDGES, I64, I32, I64, I32, MATCHING), makes_arrays=True)
def keep_best(edges, penalty, rows, work, out_waiting, out_matching):
    """Keep only what is exactly best at present prices, match what is free and best, say who waits.

    Parameters
    ----------
    edges : Edges
        The graph; its mirror is not used.
    penalty : (rows,) int64
        Cost of leaving a row unmatched.
    rows : (n,) int32
        The rows to look at.
    work : (3,) int64
        Edge scans are added up.
    out_waiting : (n,) int32
        Rows for which nothing is free among what is best.
    out_matching : Matching
        Of any quality on entry; on return a start for :func:`dispatch.kernels.augmentation.augment`.

    Returns
    -------
    int
        How many rows wait.
    """
    first, columns, cost = edges.first, edges.column, edges.cost
    edge_of_row, row_of_column, price = out_matching
    scanned = 0
    row_price = np.empty(len(rows), np.int64)
    for i in range(len(rows)):
        row = rows[i]
        best_cost = penalty[row]
        for edge in range(first[row], first[row + 1]):
            best_cost = min(best_cost, cost[edge] - price[columns[edge]])
        scanned += first[row + 1] - first[row]
        row_price[i] = best_cost
        held = edge_of_row[row]
        if held != NO_INDEX and cost[held] - price[columns[held]] > best_cost:
            row_of_column[columns[held]] = NO_INDEX
            edge_of_row[row] = NO_INDEX
    num_waiting = 0
    for i in range(len(rows)):
        row = rows[i]
        if edge_of_row[row] != NO_INDEX or row_price[i] == penalty[row]:
            continue
        for edge in range(first[row], first[row + 1]):
            column = columns[edge]
            scanned += 1
            if row_of_column[column] == NO_INDEX and cost[edge] - price[column] == row_price[i]:
                edge_of_row[row] = edge
                row_of_column[column] = row
                break
        else:
            out_waiting[num_waiting] = row
            num_waiting += 1
    work[SCANNED] += scanned
    return num_waiting
