import heapq

import numpy as np
from hypothesis import given, settings, strategies as st

from dispatch.kernels.heap import heap_pop, heap_push

KEYS = st.one_of(st.integers(0, 5), st.integers(-(2**63), 2**63 - 1))


@settings(deadline=None)
@given(st.lists(st.one_of(KEYS, st.none()), max_size=80))
def test_pushes_and_pops_as_the_standard_library_does(steps):
    """None pops."""
    heap, size, oracle = np.empty(len(steps), np.int64), 0, []
    for key in steps:
        if key is not None:
            heap_push(heap, size, key)
            heapq.heappush(oracle, key)
            size += 1
        elif size > 0:
            assert heap_pop(heap, size) == heapq.heappop(oracle)
            size -= 1
    assert [heap_pop(heap, left) for left in range(size, 0, -1)] == sorted(oracle)
