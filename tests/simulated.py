"""A simulated day in the hands of a test: what happens is told to the test, who decides for the dispatcher."""

from dataclasses import replace

import numpy as np

from cities import T0, line_city, places, random_trips, shifts_of, small_scenario
from dispatch.engine.events import EventKind as K, make_events
from dispatch.kernels import simulate
from dispatch.sim.behaviour import Behaviour
from dispatch.sim.day import make_day, week_offset_ms
from dispatch.sim.scenario import SimParams
from dispatch.sim.streets import DayStreets

LINE = line_city()
"""20 nodes, 100 m and 10 s apart."""
LINE_TIMES = LINE.free_flow()
SIM = SimParams(window_s=10.0, boarding_s=30.0, alighting_s=15.0)


def behaving(**parts):
    """Machines, but for some fields: ``customers={"no_show_share": 1.0}``."""
    none = Behaviour.none()
    changed = {name: replace(getattr(none, name), **fields) for name, fields in parts.items()}
    return replace(none, **changed)


def orders_on_line(rows):
    """Rows are (seconds after T0, pickup, drop-off)."""
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    pickup, dropoff = columns[1].astype(np.int32), columns[2].astype(np.int32)
    return replace(
        random_trips(LINE, len(rows)),
        requested_at_ms=T0 + 1000 * columns[0],
        pickup_node=pickup,
        dropoff_node=dropoff,
        pickup_lon=places(LINE, pickup)[0],
        pickup_lat=places(LINE, pickup)[1],
        dropoff_lon=places(LINE, dropoff)[0],
        dropoff_lat=places(LINE, dropoff)[1],
    )


def line_scenario(orders, shifts, **parts):
    """Orders as above, shifts as (driver, first second, last second, node)."""
    shifts = [(driver, T0 + 1000 * begin, T0 + 1000 * end, node) for driver, begin, end, node in shifts]
    return small_scenario(
        city=LINE,
        **{"sim": SIM, "travel_times": LINE_TIMES} | parts,
        orders=orders_on_line(orders),
        shifts=shifts_of(shifts),
    )


def day_of(scenario):
    """The day before anything has happened."""
    streets = DayStreets(scenario.travel_times, scenario.traffic, week_offset_ms(scenario))
    return make_day(scenario, streets)


def rows(*numbers):
    return np.array(numbers, np.int32)


def told(day):
    """Take what has happened, as (seconds after T0, kind, order, driver)."""
    num = int(day.out.num[0])
    day.out.num[:2] = 0
    return [
        ((int(e["at_ms"]) - T0) / 1000, K(e["kind"]).name, int(e["order_id"]), int(e["driver_id"]))
        for e in day.out.events[:num]
    ]


def until(day, second):
    """Let everything happen up to an instant, and take it."""
    assert simulate.advance(day, T0 + 1000 * second)
    return told(day)


def decide(day, second, kind, order=-1, driver=-1, eta_s=0, node=None):
    """Let the dispatcher decide one thing."""
    decided = make_events(
        kind, 1, at_ms=T0 + 1000 * second, order_id=order, driver_id=driver, eta_ms=1000 * eta_s
    )
    simulate.react(day, T0 + 1000 * second, decided, rows() if node is None else rows(node))
