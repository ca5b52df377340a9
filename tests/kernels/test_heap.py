import heapq

import numpy as np
from hypothesis import given, settings, strategies as st

from dispatch.kernels.heap import heap_pop, heap_push

KEYS = st.one_of(st.integers(0, 5), st.integers(-(2**63), 2**63 - 1))


@settings(deadline=None)
@given(st.lists(st.one_of(KEYS, st.none()), max_size=80))
def test_pushes_and_pops_as_the_standard_library_does(steps):
    """None pops; an item is the number of the step at which its key came, so each comes back with its key."""
    keys, items = np.empty(len(steps), np.int64), np.empty(len(steps), np.int32)
    size, oracle = 0, []
    for item, key in enumerate(steps):
        if key is not None:
            heap_push(keys, items, size, key, np.int32(item))
            heapq.heappush(oracle, key)
            size += 1
        elif size > 0:
            least, came_at = heap_pop(keys, items, size)
            assert least == heapq.heappop(oracle) == steps[came_at]
            size -= 1
    left = [heap_pop(keys, items, remaining) for remaining in range(size, 0, -1)]
    assert [key for key, _ in left] == sorted(oracle)
    assert [steps[item] for _, item in left] == sorted(oracle)
    assert len({item for _, item in left}) == size
