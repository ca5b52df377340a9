import numpy as np

from dispatch.engine.fleet import Fleet
from dispatch.engine.lifecycle import DriverStatus
from dispatch.engine.terms import DriverTerms
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


def test_idle_rows_are_idle_fresh_on_the_network_and_eligible():
    fleet = Fleet()
    rows = fleet.register(np.arange(7))
    fleet.status[rows] = [1, 1, 1, 0, 5, 1, 1]
    fleet.node[rows] = [4, NO_INDEX, 4, 4, 4, 0, 4]
    fleet.position_at_ms[rows] = [100, 100, 99, 100, 100, 101, 100]
    fleet.set_terms(rows[6:], DriverTerms([6], eligible=0).checked())
    assert fleet.idle_rows(100).tolist() == [0, 5]


def test_a_car_may_serve_what_it_can_while_its_driver_is_eligible():
    fleet = Fleet()
    rows = fleet.register(np.arange(3))
    fleet.set_cars(rows[:2], np.array([5, 6]))
    fleet.set_terms(rows, DriverTerms(np.arange(3), [1, 2, 3], [10, 20, 30], [1, 0, 0], [7, 8, 9]).checked())
    assert fleet.class_bits[rows].tolist() == [5, 0, 0]
    assert (fleet.cost_ms[rows].tolist(), fleet.skills[rows].tolist()) == ([11, 22, 33], [7, 8, 9])
    fleet.set_cars(rows[1:], np.array([3, 4]))
    assert fleet.class_bits[rows].tolist() == [5, 0, 0]
    fleet.set_terms(rows, DriverTerms(np.arange(3)).checked())
    assert fleet.class_bits[rows].tolist() == [5, 3, 4]
