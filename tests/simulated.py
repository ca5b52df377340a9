"""Simulated days for tests: one in their hands, who decide for the dispatcher, and busy ones to measure."""

from dataclasses import replace

import numpy as np
from scipy import stats

from cities import T0, grid_city, line_city, places, random_trips, shifts_of, small_scenario
from dispatch.engine.events import EventKind as K, make_events
from dispatch.kernels import simulate
from dispatch.sim.behaving import with_behaviour
from dispatch.sim.behaviour import Behaviour
from dispatch.sim.day import make_day, week_offset_ms
from dispatch.sim.scenario import SimParams
from dispatch.sim.streets import DayStreets

LINE = line_city()
"""20 nodes, 100 m and 10 s apart."""
LINE_TIMES = LINE.free_flow()
SIM = SimParams(window_s=10.0, boarding_s=30.0, alighting_s=15.0, cruising_told_s=0.0)


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


# --- days to measure behaviour on ----------------------------------------------------------------

GRID = grid_city(9, 9)
GRID_TIMES = GRID.free_flow()
NOBODY_AROUND = shifts_of([(1, T0 + 1000 * 86_400_000, T0 + 1001 * 86_400_000, 0)])
"""The only driver comes long after everything is over."""


def busy_day(num_orders, num_drivers, hours=1.0, seed=1, begin_h=0.0, **parts):
    """Orders in `hours` from `begin_h` on; drivers at random nodes, on duty two hours longer."""
    random = np.random.default_rng([seed, 5])
    begin_ms, end_ms = T0 + round(3_600_000 * begin_h), T0 + round(3_600_000 * (begin_h + hours + 2))
    nodes = random.integers(GRID.graph.num_nodes, size=num_drivers).tolist()
    shifts = shifts_of(
        [(3 * i + 1, T0, end_ms, node) for i, node in enumerate(nodes)] or [(1, T0, end_ms, 0)]
    )
    orders = random_trips(GRID, num_orders, seed, begin_ms, round(3600 * hours))
    day = {"orders": orders, "shifts": shifts, "travel_times": GRID_TIMES, "seed": seed}
    return with_behaviour(small_scenario(city=GRID, **day | parts))


def of_kind(events, *kinds):
    return events[np.isin(events["kind"], kinds)]


def at_of(events, kind):
    """When it happened to each order (by id), in a dictionary; the first time."""
    chosen = of_kind(events, kind)[::-1]
    return dict(zip(chosen["order_id"].tolist(), chosen["at_ms"].tolist(), strict=True))


def assert_share(num, of, share, least=100):
    """`num` of `of` is within the 99.9 % interval of a binomial of `share`; `of` is enough to tell."""
    assert of >= least
    if share in (0.0, 1.0):
        assert num == share * of
    else:
        assert stats.binomtest(int(num), int(of), share).pvalue > 0.001, f"{num} of {of} for {share}"


def assert_drawn_from(values, distribution, *args, least=100):
    """Kolmogorov and Smirnov see no difference at the level of 0.1 %."""
    assert len(values) >= least
    assert stats.kstest(values, distribution, args).pvalue > 0.001
