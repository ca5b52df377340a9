import numpy as np

from dispatch.engine.fleet import Fleet
from dispatch.engine.lifecycle import DriverStatus
from dispatch.units import NO_INDEX


def test_a_driver_keeps_its_row_for_good():
    fleet = Fleet()
    assert fleet.register(np.array([30, 10, 20])).tolist() == [0, 1, 2]
    assert fleet.register(np.array([20, 40, 30])).tolist() == [2, 3, 0]
    assert fleet.driver_id[: fleet.num_rows].tolist() == [30, 10, 20, 40]
    many = np.arange(1000, 1500)
    assert fleet.register(many).tolist() == list(range(4, 504))
    assert fleet.register(np.array([10, 1499])).tolist() == [1, 503]
    assert (fleet.status[: fleet.num_rows] == DriverStatus.OFFLINE).all()


def test_idle_rows_are_idle_fresh_and_on_the_network():
    fleet = Fleet()
    rows = fleet.register(np.arange(6))
    fleet.status[rows] = [1, 1, 1, 0, 5, 1]
    fleet.node[rows] = [4, NO_INDEX, 4, 4, 4, 0]
    fleet.position_at_ms[rows] = [100, 100, 99, 100, 100, 101]
    assert fleet.idle_rows(100).tolist() == [0, 5]
