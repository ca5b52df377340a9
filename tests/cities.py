"""Small cities, and short ways to say what happens in them."""

import csv
from dataclasses import replace

import numpy as np

from dispatch.engine.dispatcher import Dispatcher
from dispatch.engine.inputs import NewOrders, Positions
from dispatch.engine.params import DispatchParams
from dispatch.kernels.id_map import put_rows
from dispatch.roads.city import City
from dispatch.roads.graph import RoadGraph
from dispatch.roads.trips import RecordedTrips
from dispatch.sim.scenario import Scenario, SimParams
from dispatch.sim.shifts import Shifts
from dispatch.spatial.projection import LocalProjection
from dispatch.units import NO_INDEX, NO_VALUE

T0 = 1_700_000_000_000
"""A Tuesday of 2023, milliseconds since the epoch."""
PLANE = LocalProjection(10.0, 50.0)


def city_of(x, y, arcs, name="Testville", speed_kph=36.0):
    """A city of nodes in metres and of directed arcs (tail, head), as long as they are drawn."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    tails, heads = (np.array([arc[end] for arc in arcs], np.int32) for end in (0, 1))
    length_m = np.rint(np.hypot(x[heads] - x[tails], y[heads] - y[tails]))
    speeds = np.broadcast_to(np.asarray(speed_kph, float), len(arcs)).copy()
    graph = RoadGraph.from_edges(
        PLANE.to_degrees(x, y), tails, heads, length_m, speeds, np.full(len(arcs), 5, np.int8)
    )
    return City.from_graph(name, graph, "UTC")


def line_city(num_nodes=20, sink=False):
    """Nodes 100 m apart on a line; each arc takes 10 s. With a `sink`, no arc leaves the last node."""
    arcs = [(node, node + 1) for node in range(num_nodes - 1)]
    back = [(head, tail) for tail, head in arcs]
    return city_of(100.0 * np.arange(num_nodes), np.zeros(num_nodes), arcs + back[: len(back) - sink])


def grid_city(num_rows=9, num_cols=9, seed=0, block_m=300.0):
    """Streets in both directions around square blocks, at mixed speeds."""
    random = np.random.default_rng(seed)
    rows, cols = np.divmod(np.arange(num_rows * num_cols), num_cols)
    jitter = random.uniform(-0.2, 0.2, (2, len(rows))) * block_m
    streets = [(n, n + 1) for n in range(len(rows)) if cols[n] + 1 < num_cols]
    streets += [(n, n + num_cols) for n in range(len(rows)) if rows[n] + 1 < num_rows]
    arcs = streets + [(head, tail) for tail, head in streets]
    speed_kph = random.choice([20.0, 30.0, 50.0], len(arcs))
    return city_of(cols * block_m + jitter[0], rows * block_m + jitter[1], arcs, "Gridville", speed_kph)


def enter_orders(orders, ids):
    """Enter ids as the next rows of the engine's table of orders, open; give these rows."""
    added = slice(orders.num_rows, orders.num_rows + len(ids))
    orders.make_room(len(ids))
    put_rows(orders.ids.slot_id, orders.ids.slot_row, ids, added.start)
    orders.order_id[added] = ids
    orders.live[orders.num_live : orders.num_live + len(ids)] = np.arange(added.start, added.stop)
    orders.count(len(ids))
    return added


def places(city, nodes):
    """Longitudes and latitudes of nodes."""
    nodes = np.atleast_1d(np.asarray(nodes, np.int32))
    return city.graph.node_lon[nodes], city.graph.node_lat[nodes]


def positions(city, driver_ids, nodes, at_ms=T0):
    """Drivers at nodes."""
    return Positions(np.atleast_1d(driver_ids), *places(city, nodes), at_ms)


def new_orders(city, order_ids, pickups, dropoffs, at_ms=T0):
    """Orders from node to node."""
    return NewOrders(np.atleast_1d(order_ids), *places(city, pickups), *places(city, dropoffs), at_ms)


def dispatcher_on(city, **params):
    """A dispatcher with some of its parameters set."""
    return Dispatcher(city, params=DispatchParams(**params))


def tables_of(dispatcher):
    """Copies of everything that a dispatcher remembers."""
    state = dispatcher._state
    copies = {}
    for name, table in (("fleet", state.fleet), ("orders", state.orders)):
        copies[f"{name}.num_rows"] = table.num_rows
        for column in table.COLUMNS:
            copies[f"{name}.{column}"] = getattr(table, column)[: table.num_rows].copy()
        copies[f"{name}.ids"] = np.sort(table.ids.slot_id[table.ids.slot_row != NO_INDEX])
        copies[f"{name}.num_ids"] = table.ids._num_ids
    copies["refused"] = state.orders._refusal[:, : state.orders.num_refusals].copy()
    copies["live"] = state.orders.live[: state.orders.num_live].copy()
    copies["clock_ms"] = state.clock_ms
    copies["log"] = state.log._events[: state.log._num_events].copy()
    copies["latest_ms"] = state.latest_ms
    return copies


def assert_same_tables(before, after):
    """Nothing changed between two copies."""
    assert before.keys() == after.keys()
    for name, values in before.items():
        assert np.array_equal(values, after[name]), name


def random_trips(city, num_trips, seed=0, start_at_ms=T0, span_s=3600, recorded=False):
    """Trips between random different nodes, sorted by time; with recorded durations if asked for."""
    random = np.random.default_rng(seed)
    num_nodes = city.graph.num_nodes
    pickup = random.integers(0, num_nodes, num_trips).astype(np.int32)
    dropoff = ((pickup + random.integers(1, num_nodes, num_trips)) % num_nodes).astype(np.int32)
    duration_s = random.integers(30, 900, num_trips) if recorded else np.full(num_trips, NO_VALUE)
    return RecordedTrips(
        np.sort(start_at_ms + random.integers(0, span_s * 1000, num_trips)),
        pickup,
        dropoff,
        *places(city, pickup),
        *places(city, dropoff),
        duration_s.astype(np.int32),
        np.full(num_trips, NO_VALUE, np.int64),
        np.ones(num_trips, np.int32),
    )


def shifts_of(rows):
    """Shifts as (driver_id, start_at_ms, end_at_ms, node)."""
    columns = zip(*rows, strict=True)
    dtypes = (np.int64, np.int64, np.int64, np.int32)
    return Shifts(*(np.array(column, dtype) for column, dtype in zip(columns, dtypes, strict=True)))


def small_scenario(num_orders=60, num_drivers=8, seed=0, city=None, **parts):
    """An hour in a small city: drivers all on duty for two hours."""
    city = city or grid_city()
    random = np.random.default_rng([seed, 1])
    on_duty = [
        (7 * driver + 3, T0, T0 + 7_200_000, random.integers(city.graph.num_nodes))
        for driver in range(num_drivers)
    ]
    scenario = Scenario(
        city,
        random_trips(city, num_orders, seed),
        shifts_of(on_duty),
        city.free_flow(),
        T0,
        "UTC",
        sim=SimParams(window_s=15.0),
        seed=seed,
    )
    return replace(scenario, **parts)


def write_csv(path, columns):
    """Write columns by name as a CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def write_city(folder, city):
    """Write a city's network as a folder of CSV files, as a user would have it."""
    folder.mkdir(parents=True, exist_ok=True)
    graph = city.graph
    write_csv(
        folder / "nodes.csv",
        {"node_id": range(graph.num_nodes), "lon": graph.node_lon.tolist(), "lat": graph.node_lat.tolist()},
    )
    write_csv(
        folder / "edges.csv",
        {
            "from_node": graph.tail.tolist(),
            "to_node": graph.head.tolist(),
            "length_m": graph.length_m.tolist(),
            "speed_kph": graph.speed_kph.tolist(),
        },
    )
    return folder
