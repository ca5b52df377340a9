from dataclasses import fields, replace

import numpy as np
import pytest

from cities import grid_city, line_city
from dispatch.errors import InputError
from dispatch.sim.cells import cut_into_cells
from dispatch.sim.cruising import CruiseHabits, CruiseModel, gravity
from naive.cruising import cruise_along, next_move

CITY = grid_city(12, 12, block_m=300.0)
CELLS = cut_into_cells(CITY)


def probabilities(model):
    """(24, cells, cells) of the next cell."""
    return np.diff(model.target_cum, axis=-1, prepend=0)


def test_parked_drivers_stay_whatever_comes():
    model = CruiseModel.parked(CITY.graph)
    for hour, node, drawn in ((0, 0, 0.0), (23, 143, 0.999999)):
        assert next_move(model.arrays, hour, node, drawn, drawn, drawn, drawn)[0] == -1
    seen = cruise_along(
        model, CITY.free_flow(), np.arange(50, dtype=np.int32), np.zeros(50), np.full(50, 5e6), 1
    )
    assert (seen.node == np.arange(50)[:, None]).all()
    assert seen.stays.all()
    assert not seen.driven_m.any()


def test_a_random_walk_goes_to_each_cell_around_as_often():
    got = probabilities(CruiseModel.random_walk(CITY))
    around = CELLS.neighbours()
    assert np.allclose(got, around / around.sum(axis=1, keepdims=True))
    walk = CruiseModel.random_walk(CITY, CruiseHabits(stay_share=0.25, stay_s=90, slowness=2.5))
    assert (set(walk.stay_share), set(walk.stay_ms), walk.slowness) == ({0.25}, {90_000}, 2.5)


def test_nodes_of_a_cell_are_as_likely():
    model = CruiseModel.random_walk(CITY)
    for cell in range(model.num_cells):
        part = slice(*model.first_of_cell[cell : cell + 2])
        assert sorted(model.node_of_cell[part]) == np.flatnonzero(CELLS.of_node == cell).tolist()
        num = part.stop - part.start
        assert np.allclose(model.node_cum[part], (np.arange(num) + 1) / num)


def test_drifting_is_towards_the_pickups_of_the_hour_and_nearer_ones_first():
    west, east = 12 * 6, 12 * 6 + 11
    pickups, hours = np.array([west] * 90 + [east] * 90, np.int32), np.repeat([8, 17], 90)
    model = CruiseModel.drift(CITY, pickups, hours, CruiseHabits(decay_m=2000.0))
    got, cells = probabilities(model), CELLS.of_node
    middle = cells[12 * 6 + 6]
    assert got[8, middle, cells[west]] > 3 * got[8, middle, cells[east]]
    assert got[17, middle, cells[east]] > 3 * got[17, middle, cells[west]]
    at_noon = got[12, middle, cells[[west, east]]]
    assert at_noon.sum() > 0.9  # as in the mean of all hours
    assert got[8, cells[west], cells[west]] > got[8, cells[east], cells[west]]
    start = np.full(300, 12 * 6 + 6, np.int32)
    seen = cruise_along(model, CITY.free_flow(), start, np.full(300, 8), np.full(300, 1_800_000.0), 4)
    assert (cells[seen.node[:, -1]] == cells[west]).mean() > 0.6


def test_gravity_is_that_of_plain_python():
    random = np.random.default_rng(0)
    nodes, hours = random.integers(0, 144, 200).astype(np.int32), random.integers(0, 24, 200)
    got = gravity(CELLS, nodes, hours, 700.0)
    centre = CELLS.centre
    for hour, here in ((0, 0), (13, 5), (23, len(CELLS) - 1)):
        pull = []
        for there in range(len(CELLS)):
            num = sum(CELLS.of_node[n] == there and h == hour for n, h in zip(nodes, hours, strict=True))
            num_all = sum(CELLS.of_node[n] == there for n in nodes)
            away = np.hypot(*(centre[there] - centre[here]))
            pull.append((num + (num_all + 1) / 24) * np.exp(-away / 700))
        assert np.allclose(got[hour, here], np.array(pull) / sum(pull))


@pytest.mark.parametrize("hours", [[], [3]])
def test_drifting_needs_pickups_and_their_hours(hours):
    with pytest.raises(InputError, match="there are 0 pickups and"):
        CruiseModel.drift(CITY, np.empty(0, np.int32), np.array(hours, np.int64))


@pytest.mark.parametrize(
    ("node", "hour", "message"),
    [
        (144, 0, r"pickup_node\[1\] is 144: it must be from 0 to 143"),
        (-1, 0, r"pickup_node\[1\] is -1"),
        (0, 24, r"hour_of_pickup\[1\] is 24: it must be from 0 to 23"),
    ],
)
def test_pickups_out_of_range(node, hour, message):
    with pytest.raises(InputError, match=message):
        CruiseModel.drift(CITY, np.array([0, node], np.int32), np.array([0, hour]))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"stay_share": 1.5}, "stay_share is 1.5: it must be a number from 0 to 1"),
        ({"stay_s": 0}, "stay_s is 0"),
        ({"slowness": 0.0}, "slowness is 0.0"),
        ({"decay_m": np.nan}, "decay_m is nan"),
    ],
)
def test_habits_out_of_range(wrong, message):
    with pytest.raises(InputError, match=message):
        CruiseHabits(**wrong)


def changed(model, name, index, value):
    copy = getattr(model, name).copy()
    copy[index] = value
    return {name: copy}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: {"node_cum": m.node_cum[1:]}, r"node_cum has the shape \(19,\): it must be \(20,\)"),
        (lambda m: {"target_cum": m.target_cum[1:]}, r"target_cum has the shape \(23, 3, 3\)"),
        (lambda m: changed(m, "node_of_cell", 0, 19), "node_of_cell does not list the nodes of each cell"),
        (lambda m: changed(m, "cell_of_node", 0, 2), "node_of_cell does not list"),
        (lambda m: changed(m, "target_cum", (5, 1, 2), 0.9), "must be running sums that end in exactly 1"),
        (lambda m: changed(m, "node_cum", -1, 1.1), "must be running sums"),
        (lambda m: changed(m, "target_cum", (5, 1, 0), 1.1), "must be running sums"),
        (lambda m: changed(m, "stay_share", 3, -0.1), "the least of stay_share is -0.1"),
        (lambda m: changed(m, "stay_share", 3, 1.1), "the largest of stay_share is 1.1"),
        (
            lambda m: changed(m, "stay_ms", 3, 10),
            "the least of stay_ms is 10: it must be a number at least 1",
        ),
        (lambda m: {"slowness": 0.0}, "slowness is 0.0"),
    ],
)
def test_a_model_that_contradicts_itself_is_refused(change, message):
    model = CruiseModel.random_walk(line_city(20))
    with pytest.raises(InputError, match=message):
        replace(model, **change(model))


def test_arrays_are_as_the_kernel_is_compiled_for():
    model = CruiseModel.drift(CITY, np.zeros(1, np.int32), np.zeros(1, np.int64))
    assert model.arrays._fields == tuple(field.name for field in fields(CruiseModel))
    for values in model.arrays[:-1]:
        assert values.flags.c_contiguous
        assert values.flags.writeable
    assert isinstance(model.arrays.slowness, float)


def test_a_slow_driver_drives_less_far_along_the_same_streets():
    start, hour, lasts = np.full(200, 70, np.int32), np.zeros(200), np.full(200, 1_200_000.0)
    driven = [
        cruise_along(
            CruiseModel.random_walk(CITY, CruiseHabits(0.0, 60.0, slowness)),
            CITY.free_flow(),
            start,
            hour,
            lasts,
            2,
        ).driven_m.mean()
        for slowness in (1.0, 2.0)
    ]
    assert driven[0] == pytest.approx(2 * driven[1], rel=0.05)
