"""Areas against squares in plain Python."""

import numpy as np
from hypothesis import given, strategies as st

from dispatch.engine.areas import AREA_M, areas_of

METRES = st.floats(-20_000, 20_000)


@given(st.lists(st.tuples(METRES, METRES), min_size=1, max_size=30))
def test_nodes_of_one_square_are_one_area(places):
    x, y = (np.array(column) for column in zip(*places, strict=True))
    areas = areas_of(x, y)
    squares = [
        (int((a - x.min()) // AREA_M), int((b - y.min()) // AREA_M)) for a, b in zip(x, y, strict=True)
    ]
    assert areas.num == len(set(squares))
    assert sorted(set(areas.of_node.tolist())) == list(range(areas.num))
    assert len(set(zip(squares, areas.of_node.tolist(), strict=True))) == areas.num
    assert areas.of_node.dtype == np.int32
