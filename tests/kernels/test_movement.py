import numpy as np
from hypothesis import given, settings, strategies as st

from dispatch.kernels.movement import Legs, locate, set_legs
from naive.movement import place

LEG = st.tuples(
    st.lists(st.integers(0, 5), max_size=6),  # travel times from node to node, some of no length
    st.integers(-50, 50),  # start
    st.integers(0, 40),  # real duration
)


def legs_of(num_vehicles, width):
    return Legs(
        np.full((num_vehicles, width), -7, np.int32),
        np.full((num_vehicles, width), -7, np.int32),
        np.zeros(num_vehicles, np.int32),
        np.zeros(num_vehicles, np.int64),
        np.zeros(num_vehicles, np.int64),
    )


def located(legs, vehicles, now_ms):
    node, ahead, share = (
        np.empty(len(vehicles), np.int32),
        np.empty(len(vehicles), np.int32),
        np.empty(len(vehicles)),
    )
    locate(np.array(vehicles, np.int32), now_ms, legs, node, ahead, share)
    return list(zip(node.tolist(), ahead.tolist(), share.tolist(), strict=True))


@settings(deadline=None, max_examples=200)
@given(st.lists(LEG, max_size=5), st.integers(-60, 110))
def test_vehicles_are_where_plain_python_says(told, now_ms):
    legs = legs_of(len(told) + 2, 7)
    paths = [list(np.cumsum([0, *steps])) for steps, _, _ in told]
    nodes = [[100 * vehicle + k for k in range(len(path))] for vehicle, path in enumerate(paths)]
    vehicles = np.arange(len(told), dtype=np.int32)[::-1] + 1
    first = np.cumsum([0, *(len(path) for path in paths)]).astype(np.int32)
    flat = [np.array([one for path in lists for one in path], np.int32) for lists in (nodes, paths)]
    set_legs(vehicles, first, *flat, legs)
    for vehicle, (_, start, duration) in zip(vehicles, told, strict=True):
        legs.start_at_ms[vehicle], legs.duration_ms[vehicle] = start, duration
    expected = [
        place(nodes[i], paths[i], start, duration, now_ms) for i, (_, start, duration) in enumerate(told)
    ]
    assert located(legs, vehicles, now_ms) == expected
    assert legs.num_nodes[0] == legs.num_nodes[-1] == 0
    assert (legs.node[[0, -1]] == -7).all()


def on_the_way(duration_ms):
    """Nodes 1, 2, 3 at 0, 100 and 300 ms, setting out at instant 1000."""
    legs = legs_of(1, 4)
    first, nodes, at_ms = (np.array(column, np.int32) for column in ([0, 3], [1, 2, 3], [0, 100, 300]))
    set_legs(np.zeros(1, np.int32), first, nodes, at_ms, legs)
    legs.start_at_ms[0], legs.duration_ms[0] = 1000, duration_ms
    return legs


def test_before_the_start_at_the_nodes_and_after_the_end():
    legs = on_the_way(300)
    told = [located(legs, [0], at_ms)[0] for at_ms in (0, 1000, 1050, 1100, 1200, 1300, 9999)]
    assert told == [(1, 2, 0.0), (1, 2, 0.0), (1, 2, 0.5), (2, 3, 0.0), (2, 3, 0.5), (3, 3, 0.0), (3, 3, 0.0)]


def test_a_longer_duration_stretches_the_way_evenly():
    assert located(on_the_way(600), [0], 1100) == [(1, 2, 0.5)]
    assert located(on_the_way(150), [0], 1100) == [(2, 3, 0.5)]
    assert located(on_the_way(0), [0], 1000) == [(3, 3, 0.0)]


def test_a_shorter_leg_replaces_a_longer_one():
    legs = on_the_way(300)
    set_legs(*(np.array(column, np.int32) for column in ([0], [0, 1], [8], [0])), legs)
    assert located(legs, [0], 1100) == [(8, 8, 0.0)]
