"""The nearest of many places by travel time, without a travel time for each pair."""

from typing import NamedTuple

import numpy as np

from dispatch.kernels.jit import I32, i64, kernel
from dispatch.kernels.labels import CLIMB, ENDS, find_label
from dispatch.units import NO_INDEX, UNREACHABLE_MS


class Buckets(NamedTuple):
    """At each ancestor of some item, the items below it that are nearest to it, nearest first."""

    slot: np.ndarray
    """(nodes,) int32, NO_INDEX where no item is below"""
    first: np.ndarray
    """(slots + 1,) int32"""
    num: np.ndarray
    """(slots,) int32, how many are in"""
    ms: np.ndarray
    """(entries,) int32"""
    item: np.ndarray
    """(entries,) int32"""


@kernel(inline=True)
def _insert(ms, item, begin, num, room, new_ms, new_item):
    """Insert into a list sorted by time, then item, of which the last falls out if it is full."""
    at = begin + num
    if num == room:
        at -= 1
    while at > begin and (ms[at - 1] > new_ms or (ms[at - 1] == new_ms and item[at - 1] > new_item)):
        ms[at], item[at] = ms[at - 1], item[at - 1]
        at -= 1
    ms[at], item[at] = new_ms, new_item


@kernel(makes_arrays=True)
def _empty_buckets(climb, rank, k):
    """Make room at all ancestors of `rank` (items,), ascending, for the `k` nearest items each."""
    slot = np.full(len(climb.parent), NO_INDEX, np.int32)
    num = 0
    for i in range(len(rank)):
        v = np.int64(rank[i])
        while v >= 0 and slot[v] == NO_INDEX:
            slot[v] = num
            num += 1
            v = np.int64(climb.parent[v])
    first, items_before = np.zeros(num + 1, np.int32), np.zeros(len(slot) + 1, np.int32)
    for i in range(len(rank)):
        items_before[rank[i] + 1] += 1
    for v in range(len(slot)):
        items_before[v + 1] += items_before[v]
        if slot[v] != NO_INDEX:
            first[slot[v] + 1] = min(k, items_before[v + 1] - items_before[climb.lowest[v]])
    for i in range(num):
        first[i + 1] += first[i]
    return Buckets(
        slot, first, np.zeros(num, np.int32), np.empty(first[num], np.int32), np.empty(first[num], np.int32)
    )


@kernel()
def _fill_buckets(climb, items, item_of_row, max_ms, label, buckets):
    """Put every item into the buckets of its ancestors."""
    slot, first, num, ms, item = buckets
    parent, depth = climb.parent, climb.depth
    for i in range(len(items.first) - 1):
        find_label(climb, True, items, i, label)
        v = np.int64(items.rank[items.first[i]])
        d = np.int64(depth[v])
        while v >= 0:
            s, at_ms = slot[v], label[d]
            begin, room = first[s], first[s + 1] - first[s]
            if at_ms <= max_ms and (num[s] < room or at_ms <= ms[begin + room - 1]):
                is_last = num[s] == room and at_ms == ms[begin + room - 1]
                if not is_last or item_of_row[i] < item[begin + room - 1]:
                    _insert(ms, item, begin, num[s], room, at_ms, item_of_row[i])
                    num[s] = min(num[s] + 1, room)
            v = np.int64(parent[v])
            d -= 1


@kernel((CLIMB, ENDS, I32, ENDS, I32, i64, I32, I32), makes_arrays=True)
def nearest_items(climb, items, item_of_row, others, order, max_ms, out_item, out_ms):
    """Find for each place the items from which it is reached soonest.

    Parameters
    ----------
    climb : Climb
    items : Ends
        By ascending rank of their deepest nodes.
    item_of_row : (items,) int32
        What each is called; of equal times the lower comes first.
    others : Ends
    order : (others,) int32
        In which they are looked at.
    max_ms : int
        Items farther away are left out, below ``UNREACHABLE_MS``.
    out_item, out_ms : (others × k,) int32
        `k` entries of each, nearest first, NO_INDEX where there are no more.

    Notes
    -----
    An item that is not among the `k` nearest of its ancestor is not among the `k` nearest of any place whose
    best way to it leads over that ancestor (buckets: Knopp et al. 2007, cut at `k`).
    """
    k = len(out_item) // max(len(order), 1)
    parent, depth, height = climb.parent, climb.depth, 1
    rank = np.empty(len(item_of_row), np.int32)
    for i in range(len(rank)):
        rank[i] = items.rank[items.first[i]]
        height = max(height, depth[rank[i]] + 1)
    for j in order:
        height = max(height, depth[others.rank[others.first[j]]] + 1)
    label = np.empty(height, np.int32)
    buckets = _empty_buckets(climb, rank, k)
    _fill_buckets(climb, items, item_of_row, max_ms, label, buckets)
    slot, first, num_in, ms, item = buckets
    out_item[:], out_ms[:] = NO_INDEX, UNREACHABLE_MS
    for j in order:
        find_label(climb, False, others, j, label)
        v = np.int64(others.rank[others.first[j]])
        d, num, begin = np.int64(depth[v]), 0, j * k
        worst_ms = np.int64(max_ms)
        while v >= 0:
            s, at_ms = slot[v], np.int64(label[d])
            if s != NO_INDEX and at_ms <= worst_ms:
                for e in range(first[s], first[s] + num_in[s]):
                    reached_ms = at_ms + ms[e]
                    if reached_ms > worst_ms:
                        break
                    at = begin
                    while at < begin + num and out_item[at] != item[e]:
                        at += 1
                    if at < begin + num:
                        if out_ms[at] <= reached_ms:
                            continue
                        for m in range(at, begin + num - 1):
                            out_item[m], out_ms[m] = out_item[m + 1], out_ms[m + 1]
                        num -= 1
                    elif num == k and reached_ms == worst_ms and item[e] > out_item[begin + k - 1]:
                        continue
                    _insert(out_ms, out_item, begin, num, k, reached_ms, item[e])
                    num = min(num + 1, k)
                    if num == k:
                        worst_ms = min(worst_ms, np.int64(out_ms[begin + k - 1]))
            v = np.int64(parent[v])
            d -= 1
