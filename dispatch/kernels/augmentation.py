"""Exact sparse assignment: prices from a reduction of rows, then shortest augmenting paths."""

from typing import NamedTuple

import numpy as np

from dispatch.kernels.heap import heap_pop, heap_push
from dispatch.kernels.jit import I32, I64, i64, kernel, record
from dispatch.units import NO_INDEX

FAR = np.int64(2**63 - 1)


class Candidates(NamedTuple):
    """Who may serve whom, at what cost."""

    first: np.ndarray
    """(orders + 1,) int32, candidates of order ``i`` are ``first[i] … first[i + 1] - 1``"""
    driver: np.ndarray
    """(candidates,) int32"""
    cost: np.ndarray
    """(candidates,) int64, non-negative and below the penalty"""


class Matching(NamedTuple):
    """An assignment in the making, and the prices that prove it.

    An order that is served has the price ``cost - driver_price`` of its candidate, the least of its row.
    """

    candidate_of_order: np.ndarray
    """(orders,) int32, ``NO_INDEX`` if unserved"""
    order_of_driver: np.ndarray
    """(drivers,) int32, ``NO_INDEX`` if free"""
    driver_price: np.ndarray
    """(drivers,) int64, never positive; 0 if free"""


class Search(NamedTuple):
    """Scratch of the search for one augmenting path."""

    distance: np.ndarray
    """(drivers,) int64, ``FAR`` between searches"""
    via_candidate: np.ndarray
    """(drivers,) int32, the candidate by which a driver was reached"""
    via_order: np.ndarray
    """(drivers,) int32, its order"""
    touched: np.ndarray
    """(drivers,) int32, drivers reached in this search"""
    heap: np.ndarray
    """(candidates + 1,) int64"""


CANDIDATES = record(Candidates, I32, I32, I64)
MATCHING = record(Matching, I32, I32, I64)
SEARCH = record(Search, I64, I32, I32, I32, I64)


@kernel((CANDIDATES, i64, i64, I32, MATCHING))
def reduce_rows(candidates, penalty, max_steps, out_waiting, out_matching):
    """Let orders take drivers from each other by price, as long as that settles most of them cheaply.

    Each order in turn takes its cheapest driver at present prices, who becomes dearer by what the order
    would lose with its second choice; whoever held that driver turns to another. An order whose best
    choice is no better than the second, where that driver is held, waits for an augmenting path, and so
    do all that are left after `max_steps`.

    Parameters
    ----------
    candidates : Candidates
        The problem.
    penalty : int
        Cost of leaving an order unserved.
    max_steps : int
        How often an order may be looked at in all.
    out_waiting : (orders,) int32
        Orders that are left.
    out_matching : Matching
        Empty on entry.

    Returns
    -------
    int
        How many orders are left.

    Notes
    -----
    Augmenting row reduction: Jonker and Volgenant (1987), "A shortest augmenting path algorithm for dense
    and sparse linear assignment problems", Computing 38, with staying unserved as everyone's last choice.
    """
    first, driver, cost = candidates
    candidate_of_order, order_of_driver, price = out_matching
    num_waiting = 0
    steps = 0
    for row in range(len(first) - 1):
        order = row
        while order != NO_INDEX:
            best, best_cost, second_cost = NO_INDEX, penalty, penalty
            for candidate in range(first[order], first[order + 1]):
                reduced = cost[candidate] - price[driver[candidate]]
                if reduced < second_cost:
                    if reduced < best_cost:
                        second_cost = best_cost
                        best_cost = reduced
                        best = candidate
                    else:
                        second_cost = reduced
            if best == NO_INDEX:
                break
            taken = driver[best]
            held_by = order_of_driver[taken]
            steps += 1
            if held_by != NO_INDEX and (second_cost == best_cost or steps > max_steps):
                out_waiting[num_waiting] = order
                num_waiting += 1
                break
            price[taken] -= second_cost - best_cost
            order_of_driver[taken] = order
            candidate_of_order[order] = best
            if held_by != NO_INDEX:
                candidate_of_order[held_by] = NO_INDEX
            order = held_by
    return num_waiting


@kernel()
def _flip_path(candidates, end, search, out_matching):
    """Hand each driver on the path to `end` to the order that reached it."""
    while end != NO_INDEX:
        order = search.via_order[end]
        before = out_matching.candidate_of_order[order]
        out_matching.candidate_of_order[order] = search.via_candidate[end]
        out_matching.order_of_driver[end] = order
        end = candidates.driver[before] if before != NO_INDEX else NO_INDEX


@kernel()
def _search_path(candidates, penalty, bits, start, search, matching):
    """Find a cheapest path from the order `start`.

    Returns ``(distance, driver, order, num_touched)``: the path ends at a free driver, or, if that is
    ``NO_INDEX``, at an order that goes unserved.
    """
    first, driver, cost = candidates
    candidate_of_order, order_of_driver, price = matching
    distance, via_candidate, via_order, touched, heap = search
    num_touched, size = 0, 0
    end_distance, end_driver, end_order = penalty, NO_INDEX, start
    order, offset = start, np.int64(0)
    while order != NO_INDEX:
        for candidate in range(first[order], first[order + 1]):
            reached = driver[candidate]
            at = offset + cost[candidate] - price[reached]
            if at < end_distance and at < distance[reached]:
                if distance[reached] == FAR:
                    touched[num_touched] = reached
                    num_touched += 1
                distance[reached] = at
                via_candidate[reached] = candidate
                via_order[reached] = order
                if order_of_driver[reached] == NO_INDEX:
                    end_distance, end_driver = at, reached
                else:
                    heap_push(heap, size, at << bits | reached)
                    size += 1
        order = NO_INDEX
        while size > 0 and order == NO_INDEX and heap[0] >> bits < end_distance:
            key = heap_pop(heap, size)
            size -= 1
            at, reached = key >> bits, key & ((1 << bits) - 1)
            if at == distance[reached]:
                order = order_of_driver[reached]
                order_price = cost[candidate_of_order[order]] - price[reached]
                offset = at - order_price
                if offset + penalty < end_distance:
                    end_distance, end_driver, end_order = offset + penalty, NO_INDEX, order
    return end_distance, end_driver, end_order, num_touched


@kernel((CANDIDATES, i64, I32, SEARCH, MATCHING))
def augment(candidates, penalty, waiting, search, out_matching):
    """Serve each waiting order by a cheapest augmenting path, or leave the order unserved that costs least.

    Parameters
    ----------
    candidates : Candidates
        The problem.
    penalty : int
        Cost of leaving an order unserved; ``penalty * 2 * drivers`` must fit in int64.
    waiting : (n,) int32
        Orders that are unserved as yet.
    search : Search
        Scratch.
    out_matching : Matching
        With prices that fit it on entry; on return with no order waiting.

    Notes
    -----
    Dijkstra on reduced costs (Edmonds and Karp 1972; Tomizawa 1971). A path ends at a free driver or at
    an order that goes unserved, and nothing beyond the best end so far is looked at. Once a search has
    found no free driver, the prices of all that it visited stand so high that later ones end there at once.
    """
    bits = 0
    while len(out_matching.driver_price) >> bits > 0:
        bits += 1
    for start in waiting:
        end_distance, end, end_order, num_touched = _search_path(
            candidates, penalty, bits, start, search, out_matching
        )
        for i in range(num_touched):
            reached = search.touched[i]
            if search.distance[reached] < end_distance:
                out_matching.driver_price[reached] += search.distance[reached] - end_distance
            search.distance[reached] = FAR
        if end == NO_INDEX and end_order != start:
            end = candidates.driver[out_matching.candidate_of_order[end_order]]
            out_matching.candidate_of_order[end_order] = NO_INDEX
        _flip_path(candidates, end, search, out_matching)
