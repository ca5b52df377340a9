"""A 4-ary min-heap on plain ``int64`` keys.

A key carries its payload in its low bits (``distance << bits | row``): one array, one comparison, and
ties are settled by the lower row. Entries are never moved within the heap by name; a caller that finds
a better key pushes it and skips the stale one when it comes up.
"""

from dispatch.kernels.jit import kernel


@kernel()
def heap_push(heap, size, key):
    """Add `key` to a heap of `size` keys; `heap` must have room for one more."""
    hole = size
    while hole > 0:
        parent = (hole - 1) >> 2
        if heap[parent] <= key:
            break
        heap[hole] = heap[parent]
        hole = parent
    heap[hole] = key


@kernel()
def heap_pop(heap, size):
    """Remove and return the least of `size` (at least one) keys; ``size - 1`` remain."""
    least = heap[0]
    last = size - 1
    key = heap[last]
    hole = 0
    child = 1
    while child + 3 < last:
        best = child
        if heap[child + 1] < heap[best]:
            best = child + 1
        if heap[child + 2] < heap[best]:
            best = child + 2
        if heap[child + 3] < heap[best]:
            best = child + 3
        if heap[best] >= key:
            break
        heap[hole] = heap[best]
        hole = best
        child = 4 * hole + 1
    else:
        best = child
        for other in range(child + 1, last):
            if heap[other] < heap[best]:
                best = other
        if child < last and heap[best] < key:
            heap[hole] = heap[best]
            hole = best
    heap[hole] = key
    return least
