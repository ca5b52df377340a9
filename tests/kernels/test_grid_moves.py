import numpy as np
import pytest

from dispatch.kernels import grid, grid_moves


def loose(x, y):
    """A grid with gaps, and the slot of each item."""
    points = grid.Points(np.array(x, np.float64), np.array(y, np.float64))
    num = len(points.x)
    tight = grid.Grid(
        np.empty(grid.FRAME_SIZE), np.empty(2 * num + 2, np.int32), np.empty(2 * num), np.empty(num, np.int32)
    )
    assert grid.build(*points, np.empty(0, np.int32), np.empty(num, np.int32), *tight)
    num_cells = grid.num_cells_of(grid.frame_of(tight.frame))
    room = num + grid_moves.num_gaps(num, num_cells)
    one = grid.Grid(
        tight.frame, np.empty(num_cells + 1, np.int32), np.full(2 * room, 9.0), np.full(room, 9, np.int32)
    )
    place = np.full(num + 5, 99, np.int32)
    grid_moves.spread_gaps(tight, one, place)
    return one, place


def check(one, place, expected):
    """Every item lies once, in its cell, where its place says; all other slots are empty."""
    frame = grid.frame_of(one.frame)
    seen = {}
    for cell in range(grid.num_cells_of(frame)):
        for slot in range(one.first_slot[cell], one.first_slot[cell + 1]):
            x, y, item = one.xy[2 * slot], one.xy[2 * slot + 1], int(one.item[slot])
            if item == grid.NO_ITEM:
                assert np.isnan(x)
                assert np.isnan(y)
                continue
            assert grid.cell_of(frame, x, y) == cell
            assert place[item] == slot
            assert item not in seen
            seen[item] = (x, y)
    assert seen == expected
    assert sorted(np.flatnonzero(place >= 0).tolist()) == sorted(expected)


def points_of(num, seed, spread=100.0):
    return np.random.default_rng(seed).uniform(0, spread, (2, num))


@pytest.mark.parametrize("num", [1, 5, 40, 400])
def test_gaps_are_spread_and_nothing_else_changes(num):
    x, y = points_of(num, 1)
    one, place = loose(x, y)
    check(one, place, dict(enumerate(zip(x, y, strict=True))))
    used = one.first_slot[grid.num_cells_of(grid.frame_of(one.frame))]
    assert num + num // (2 * grid_moves.ITEMS_PER_GAP) <= used <= len(one.item)


def test_a_crowded_cell_gets_as_many_gaps_as_its_items_ask_for():
    one, place = loose(np.zeros(200), np.zeros(200))
    check(one, place, dict.fromkeys(range(200), (0.0, 0.0)))
    assert (one.item == grid.NO_ITEM).sum() >= 200 // grid_moves.ITEMS_PER_GAP


def test_items_move_until_there_is_no_room():
    x, y = points_of(300, 2)
    one, place = loose(x, y)
    expected = dict(enumerate(zip(x, y, strict=True)))
    random, done_in_all = np.random.default_rng(3), 0
    for _ in range(30):
        rows = random.integers(0, 300, 40).astype(np.int32)
        to = grid.Points(*random.uniform(-20, 120, (2, 40)))
        done = grid_moves.move(one, rows, to, 0, place)
        for i in range(done):
            expected[int(rows[i])] = (to.x[i], to.y[i])
        check(one, place, expected)
        done_in_all += done
    assert done_in_all > 600


def test_items_come_until_there_is_no_room_and_go():
    one, place = loose(*points_of(64, 4))
    expected = {
        int(one.item[s]): (one.xy[2 * s], one.xy[2 * s + 1]) for s in range(len(one.item)) if one.item[s] >= 0
    }
    gone = np.array([3, 63, 0], np.int32)
    grid_moves.remove(one, gone, place)
    for row in gone.tolist():
        del expected[row]
    check(one, place, expected)
    new = np.array([63, 64, 65, 66, 67], np.int32)
    to = grid.Points(np.array([-1e6, 1e6, 50.0, 50.0, 50.0]), np.array([-1e6, 1e6, 50.0, 50.0, 50.0]))
    done = grid_moves.insert(one, new, to, 1, place)
    assert done >= 2
    for i in range(1, done):
        expected[int(new[i])] = (to.x[i], to.y[i])
    check(one, place, expected)
    many = np.zeros(200, np.int32)  # one item at as many places in turn: it always leaves room for itself
    many[:] = 10
    to = grid.Points(np.linspace(0, 100, 200), np.linspace(100, 0, 200))
    if grid_moves.move(one, many, to, 0, place) == 200:
        expected[10] = (100.0, 0.0)
        check(one, place, expected)


def test_a_full_grid_takes_nothing():
    one, place = loose(np.zeros(20), np.zeros(20))
    rows, to = np.arange(20, 25, dtype=np.int32), grid.Points(np.zeros(5), np.zeros(5))
    done = grid_moves.insert(one, rows, to, 0, place)
    assert done == (len(one.item) - 20)
    assert (one.item >= 0).all()
    assert grid_moves.insert(one, rows, to, done, place) == done


@pytest.mark.parametrize(
    ("rows", "unique", "wrong"),
    [
        ([0, 2], True, -1),
        ([0, 2, 0], False, -1),
        ([0, 2, 0], True, 2),
        ([0, 1], False, 1),
        ([-1], False, 0),
        ([0, 2, 4], True, 2),
        ([], True, -1),
    ],
)
def test_wrong_rows_are_told_and_places_stay(rows, unique, wrong):
    place = np.array([0, -1, 5, 7], np.int32)
    assert grid_moves.first_wrong_row(place, np.array(rows, np.int32), unique) == wrong
    assert place.tolist() == [0, -1, 5, 7]


def test_points_are_given_back_by_item():
    x, y = points_of(30, 5)
    one, place = loose(x, y)
    grid_moves.remove(one, np.array([4], np.int32), place)
    out = grid.Points(np.full(30, -1.0), np.full(30, -1.0))
    grid_moves.points_by_item(one, out)
    x[4] = y[4] = -1.0
    assert np.array_equal(out.x, x)
    assert np.array_equal(out.y, y)
