"""A 4-ary min-heap of keys with items, in two arrays.

Entries are never moved within the heap by name; a caller that finds a better key pushes the item once more
and skips the stale entry when it comes up.
"""

from dispatch.kernels.jit import kernel


@kernel()
def heap_push(keys, items, size, key, item):
    """Add an entry to a heap of `size` entries; there must be room for one more."""
    hole = size
    while hole > 0:
        parent = (hole - 1) >> 2
        if keys[parent] <= key:
            break
        keys[hole] = keys[parent]
        items[hole] = items[parent]
        hole = parent
    keys[hole] = key
    items[hole] = item


@kernel()
def heap_pop(keys, items, size):
    """Remove and return the least key and its item of `size` (at least one) entries; ``size - 1`` remain."""
    least, least_item = keys[0], items[0]
    last = size - 1
    key, item = keys[last], items[last]
    hole = 0
    child = 1
    while child < last:
        best = child
        for other in range(child + 1, min(child + 4, last)):
            if keys[other] < keys[best]:
                best = other
        if keys[best] >= key:
            break
        keys[hole] = keys[best]
        items[hole] = items[best]
        hole = best
        child = 4 * hole + 1
    keys[hole] = key
    items[hole] = item
    return least, least_item
