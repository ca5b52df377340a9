"""Where idle drivers wait best: a short-term forecast of demand, and the cheapest moves that meet it.

The forecast of an area is the rate of its orders of the last half hour. Areas with fewer cars than orders to
come are short; drivers of areas with more than they need are sent there by a transport problem: the total of
travel times is least, where a driver who stays counts as one who drives ``LONGEST_MOVE_S``; so none drives
farther.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.areas import Areas
from dispatch.engine.commit import EngineState, Happening, commit
from dispatch.engine.events import EventKind
from dispatch.engine.lifecycle import OrderStatus
from dispatch.engine.world import World
from dispatch.matching.problem import AssignmentProblem
from dispatch.matching.solve import solve
from dispatch.spatial.grid_index import GridIndex
from dispatch.units import INDEX_DTYPE, MS_PER_S, NO_INDEX, UNREACHABLE_MS

LOOK_BACK_S: Final = 1800
LONGEST_MOVE_S: Final = 600
NEAREST_AREAS: Final = 6
"""Areas that are short, and that a driver may be sent to."""


def advise(state: EngineState, world: World, now_ms: int) -> int:
    """Advise idle drivers where to wait; tell how many."""
    areas, fleet = world.areas, state.fleet
    idle = world.free_drivers(fleet, now_ms)
    recent = _recent_pickups(state, now_ms)
    if not len(idle) or not len(recent):
        return 0
    horizon_s = 60 * world.params.rules.preposition_horizon_min
    wanted = np.bincount(areas.of_node[recent], minlength=areas.num) * (horizon_s / LOOK_BACK_S)
    moving = fleet.advised_until_ms[idle] > now_ms
    node = np.where(moving, fleet.advised_node[idle], fleet.node[idle])
    cars = np.bincount(areas.of_node[node], minlength=areas.num)
    cars += np.bincount(areas.of_node[_soon_free(state, now_ms, horizon_s)], minlength=areas.num)
    spare = _spare_drivers(idle[~moving], fleet.node[idle[~moving]], areas, np.floor(cars - wanted))
    short = np.maximum(np.floor(wanted - cars), 0).astype(np.int32)
    if not len(spare) or not short.any():
        return 0
    target = _busiest_nodes(recent, areas)
    driver, node, eta_ms = _moves(spare, fleet.node[spare], target, short, world)
    _send(state, world, driver, node, eta_ms, now_ms)
    return len(driver)


def _recent_pickups(state: EngineState, now_ms: int) -> NDArray[np.int32]:
    """Give the pickup nodes of the orders of the last half hour."""
    orders = state.orders
    submitted_at_ms = orders.submitted_at_ms[: orders.num_rows]
    recent = np.flatnonzero(submitted_at_ms > now_ms - LOOK_BACK_S * MS_PER_S)
    node: NDArray[np.int32] = orders.pickup_node[recent]
    return node


def _soon_free(state: EngineState, now_ms: int, horizon_s: float) -> NDArray[np.int32]:
    """Give the drop-off nodes of the rides that end within the horizon."""
    orders = state.orders
    riding = orders.live[: orders.num_live]
    riding = riding[orders.status[riding] == OrderStatus.ON_BOARD]
    riding = riding[state.fleet.eligible[orders.driver_idx[riding]]]
    ends_at_ms = orders.picked_up_at_ms[riding] + orders.trip_ms[riding]
    node: NDArray[np.int32] = orders.dropoff_node[riding[ends_at_ms <= now_ms + horizon_s * MS_PER_S]]
    return node


def _spare_drivers(
    driver: NDArray[np.int32], node: NDArray[np.int32], areas: Areas, spare: NDArray[np.float64]
) -> NDArray[np.int32]:
    """Give those drivers (n,) that their areas can do without: as many of each as it has to spare."""
    area = areas.of_node[node]
    by_area = np.argsort(area, kind="stable")
    first = np.searchsorted(area[by_area], area[by_area])
    place = np.arange(len(driver)) - first
    return driver[by_area[place < spare[area[by_area]]]]


def _busiest_nodes(pickups: NDArray[np.int32], areas: Areas) -> NDArray[np.int32]:
    """Give the node of each area (areas,) with the most pickups, ``NO_INDEX`` where there are none."""
    node, count = np.unique(pickups, return_counts=True)
    order = np.lexsort((-node, count))  # the last of an area wins: most pickups, then the first node
    busiest = np.full(areas.num, NO_INDEX, INDEX_DTYPE)
    busiest[areas.of_node[node[order]]] = node[order]
    return busiest


def _moves(
    driver: NDArray[np.int32],
    node: NDArray[np.int32],
    target: NDArray[np.int32],
    short: NDArray[np.int32],
    world: World,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Solve the transport problem: who goes where, and how long it takes."""
    wanting = np.flatnonzero(short)
    to_node = target[wanting]
    near = GridIndex(world.node_x[to_node], world.node_y[to_node]).nearest(
        world.node_x[node], world.node_y[node], min(NEAREST_AREAS, len(wanting))
    )
    num_near = np.diff(near.first)
    travel_ms = world.pairs_ms(np.repeat(node, num_near), to_node[near.item])
    limit_ms = LONGEST_MOVE_S * MS_PER_S
    cost = np.minimum(travel_ms, UNREACHABLE_MS).astype(np.int64)
    problem = AssignmentProblem(near.first, near.item, cost, len(wanting), short[wanting])
    chosen = solve(problem, penalty=np.full(len(driver), limit_ms, np.int64)).candidate_of_order
    goes = np.flatnonzero(chosen != NO_INDEX)
    taken = chosen[goes]
    return driver[goes], to_node[near.item[taken]], travel_ms[taken]


def _send(
    state: EngineState,
    world: World,
    driver: NDArray[np.int32],
    node: NDArray[np.int32],
    eta_ms: NDArray[np.int32],
    now_ms: int,
) -> None:
    """Advise drivers (n,) to drive to nodes (n,)."""
    if not len(driver):
        return
    graph = world.city.graph
    nobody = np.full(len(driver), NO_INDEX, np.int32)
    happening = Happening(
        EventKind.REPOSITION_ADVISED, np.full(len(driver), now_ms, np.int64), nobody, driver
    )
    commit(
        state,
        happening,
        eta_ms=eta_ms,
        lon_e6=np.rint(graph.node_lon[node] * 1e6).astype(np.int32),
        lat_e6=np.rint(graph.node_lat[node] * 1e6).astype(np.int32),
    )
    state.fleet.advised_node[driver] = node
    state.fleet.advised_until_ms[driver] = now_ms + eta_ms.astype(np.int64)
