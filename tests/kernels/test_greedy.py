import numpy as np

from dispatch.kernels.greedy import assign_nearest


def assigned(first, driver, cost, order_of_driver):
    order_of_driver = np.array(order_of_driver, np.int32)
    candidate_of_order = np.full(len(first) - 1, 99, np.int32)
    assign_nearest(
        np.array(first, np.int32),
        np.array(driver, np.int32),
        np.array(cost, np.int64),
        order_of_driver,
        candidate_of_order,
    )
    return candidate_of_order.tolist(), order_of_driver.tolist()


def test_the_first_order_takes_the_driver_that_the_second_needs():
    assert assigned([0, 2, 3], [0, 1, 0], [1, 2, 1], [-1, -1]) == ([0, -1], [0, -1])


def test_of_equal_costs_the_first_candidate_is_taken():
    assert assigned([0, 3], [2, 1, 0], [5, 5, 5], [-1, -1, -1]) == ([0], [-1, -1, 0])


def test_orders_without_candidates_and_drivers_that_are_taken_stay_as_they_are():
    assert assigned([0, 0, 1, 1], [0], [0], [7]) == ([-1, -1, -1], [7])


def test_no_orders():
    assert assigned([0], [], [], [-1]) == ([], [-1])
