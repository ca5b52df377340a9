import numpy as np
from hypothesis import given, settings, strategies as st

from cities import city_of, grid_city, line_city
from dispatch.sim.cells import cut_into_cells


def test_a_line_is_cut_every_900_metres():
    cells = cut_into_cells(line_city(20))
    assert np.bincount(cells.of_node).tolist() in ([9, 9, 2], [10, 9, 1])
    assert cells.neighbours().tolist() == [[False, True, False], [True, False, True], [False, True, False]]
    assert np.allclose(cells.distance_m(), cells.distance_m().T)
    assert abs(cells.distance_m()[0, 1] - 900) < 60


def test_up_to_eight_cells_are_around():
    cells = cut_into_cells(grid_city(10, 10, block_m=300.0), side_m=900.0)
    num_around = cells.neighbours().sum(axis=1)
    assert num_around.max() == 8
    assert num_around.min() >= 3


def test_a_cell_far_from_all_others_has_itself_around():
    cells = cut_into_cells(city_of([0, 100, 9000], [0, 0, 0], [(0, 1), (1, 2), (2, 0)]))
    assert cells.neighbours().tolist() == [[True, False], [False, True]]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 500), st.sampled_from([1e3, 2e4, 3e5]), st.booleans())
def test_there_are_few_cells_however_wide_the_region(seed, num_nodes, width_m, thin):
    random = np.random.default_rng(seed)
    x, y = random.uniform(0, width_m, (2, num_nodes)) * [[1], [0 if thin else 1]]
    cells = cut_into_cells(city_of(x, y, [(0, 0)]), max_cells=50)
    assert 1 <= len(cells) <= 50
    assert (np.bincount(cells.of_node, minlength=len(cells)) > 0).all()
    assert cells.side_m == 900.0 or len(cells) > 20 or thin
    for cell in range(len(cells)):  # on a plane of the city's own, hence the 2 %
        inside = cells.of_node == cell
        assert np.ptp(x[inside]) <= 1.02 * cells.side_m
        assert np.ptp(y[inside]) <= 1.02 * cells.side_m
