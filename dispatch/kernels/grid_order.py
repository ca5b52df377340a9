"""Found items sorted by distance, then item: by rank if they are few, by spreading them out if many.

Entries are two arrays, distance (entries,) float64 and item (entries,) int64, as wide as the distance so that
both are compared in the same vector.
"""

import numpy as np

from dispatch.kernels.jit import kernel

MOST_TO_RANK = 40
MOST_TO_INSERT = 24


@kernel()
def is_before(a_m, a_item, b_m, b_item):
    """Tell whether entry a is nearer than b, or as near and of a lower item."""
    return a_m < b_m or (a_m == b_m and a_item < b_item)


@kernel()
def select_least(distance_m, item, size, k):
    """Move the `k` least of the first `size` entries to the front, in any order.

    Source: C. A. R. Hoare, "Algorithm 65: find", CACM 4(7), 1961; the pivot is the median of three.
    """
    low, high = 0, size - 1
    while low < high:
        middle = (low + high) // 2
        for a, b in ((low, middle), (low, high), (middle, high)):
            if is_before(distance_m[b], item[b], distance_m[a], item[a]):
                swap(distance_m, item, a, b)
        pivot_m, pivot_item = distance_m[middle], item[middle]
        left, right = low, high
        while left <= right:
            while is_before(distance_m[left], item[left], pivot_m, pivot_item):
                left += 1
            while is_before(pivot_m, pivot_item, distance_m[right], item[right]):
                right -= 1
            if left <= right:
                swap(distance_m, item, left, right)
                left += 1
                right -= 1
        if k - 1 <= right:
            high = right
        elif k - 1 >= left:
            low = left
        else:
            break


@kernel()
def swap(distance_m, item, a, b):
    """Exchange two entries."""
    distance_m[a], distance_m[b] = distance_m[b], distance_m[a]
    item[a], item[b] = item[b], item[a]


@kernel()
def sift_down(distance_m, item, base, size, start):
    """Restore the max-heap of rows ``base … base + size - 1`` below `start`; key: distance, then item."""
    parent = start
    moved_m, moved_item = distance_m[base + parent], item[base + parent]
    while True:
        child = 2 * parent + 1
        if child >= size:
            break
        at = base + child
        if child + 1 < size and is_before(distance_m[at], item[at], distance_m[at + 1], item[at + 1]):
            child += 1
            at += 1
        if is_before(distance_m[at], item[at], moved_m, moved_item):
            break
        distance_m[base + parent], item[base + parent] = distance_m[at], item[at]
        parent = child
    distance_m[base + parent], item[base + parent] = moved_m, moved_item


@kernel()
def heap_sort(distance_m, item, base, size):
    """Sort `size` entries from row `base` on, in place, whatever their distances."""
    for parent in range(size // 2 - 1, -1, -1):
        sift_down(distance_m, item, base, size, parent)
    for end in range(size - 1, 0, -1):
        swap(distance_m, item, base, base + end)
        sift_down(distance_m, item, base, end, 0)


@kernel()
def insertion_sort(distance_m, item, start, stop):
    """Sort rows ``start … stop - 1``, in place; quick if each is near its place already."""
    for i in range(start + 1, stop):
        moved_m, moved_item = distance_m[i], item[i]
        place = i
        while place > start and is_before(moved_m, moved_item, distance_m[place - 1], item[place - 1]):
            distance_m[place], item[place] = distance_m[place - 1], item[place - 1]
            place -= 1
        distance_m[place], item[place] = moved_m, moved_item


@kernel()
def rank(distance_m, item, order, size):
    """Write how many entries stand before each into `order`.

    All pairs, without a branch that could be mispredicted: for 17 entries, of which 10 are wanted, 0.15 µs
    against 0.29 µs by insertion and 0.19 µs by spreading out.
    """
    for i in range(np.uint64(size)):
        order[i] = 0
    for j in range(np.uint64(size)):
        entry_m, entry_item = distance_m[j], item[j]
        for i in range(np.uint64(size)):
            order[i] += (entry_m < distance_m[i]) | ((entry_m == distance_m[i]) & (entry_item < item[i]))


@kernel()
def bucket_of(distance_m, least_m2, buckets_per_m2, last):
    """Give the bucket of a distance; never falls as the distance grows."""
    return np.uint64(min((distance_m * distance_m - least_m2) * buckets_per_m2, last))


@kernel()
def spread_out(distance_m, item, first, size):
    """Sort the first `size` entries into as many rows from `size` on, by as many buckets.

    Squares of distances lie evenly where items do, so a bucket holds about one; where many crowd into one
    bucket, it is sorted as a heap. `first` (size + 1,) is overwritten.
    """
    least, most = distance_m[0], distance_m[0]
    for i in range(np.uint64(size)):
        least, most = min(least, distance_m[i]), max(most, distance_m[i])
        first[i] = 0
    least_m2, last = least * least, size - 1.0
    buckets_per_m2 = last / max(most * most - least_m2, 1e-300)
    for i in range(np.uint64(size)):
        first[bucket_of(distance_m[i], least_m2, buckets_per_m2, last)] += 1
    total = size
    for bucket in range(np.uint64(size)):
        total += first[bucket]
        first[bucket] = total  # the end; moved to the start by the next loop
    first[size] = total
    for i in range(np.uint64(size)):
        bucket = bucket_of(distance_m[i], least_m2, buckets_per_m2, last)
        place = np.uint64(first[bucket] - 1)
        first[bucket] = place
        distance_m[place] = distance_m[i]
        item[place] = item[i]
    for bucket in range(size):
        in_bucket = first[bucket + 1] - first[bucket]
        if in_bucket > MOST_TO_INSERT:
            heap_sort(distance_m, item, first[bucket], in_bucket)
    insertion_sort(distance_m, item, size, 2 * size)


@kernel()
def write_sorted(distance_m, item, order, size, k, out_item, out_distance_m, base):
    """Write the `k` nearest of the first `size` entries, sorted, from row `base` on; give their number.

    `distance_m` and `item` have room for twice as many entries, `order` for one more; all are overwritten.
    """
    if size <= MOST_TO_RANK:
        rank(distance_m, item, order, size)
        for i in range(np.uint64(size)):
            place = np.uint64(size + order[i])
            distance_m[place] = distance_m[i]
            item[place] = item[i]
    else:
        if size > k:
            select_least(distance_m, item, size, k)
            size = k
        spread_out(distance_m, item, order, size)
    num_written = min(size, k)
    for i in range(np.uint64(num_written)):
        out_item[np.uint64(base) + i] = item[np.uint64(size) + i]
        out_distance_m[np.uint64(base) + i] = distance_m[np.uint64(size) + i]
    return num_written
