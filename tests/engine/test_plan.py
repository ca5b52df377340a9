"""Plans of random windows: certified, exact in their ETAs, batch never worse than nearest."""

import numpy as np
import pytest

from cities import T0, assert_same_tables, dispatcher_on, grid_city, new_orders, positions, tables_of
from dispatch.engine.candidates import find_candidates
from dispatch.engine.plan import match, plan, propose
from dispatch.matching.certificate import certificate
from dispatch.matching.problem import AssignmentProblem
from dispatch.matching.solve import solve
from naive.neighbours import neighbours
from naive.shortest_paths import arcs_of, travel_times_to

CITY = grid_city(seed=4)
NUM_NODES = CITY.graph.num_nodes
ARCS = arcs_of(CITY.graph, CITY.graph.free_flow_ms())
TO_NODE = [travel_times_to(ARCS, node, NUM_NODES) for node in range(NUM_NODES)]
"""TO_NODE[to][from] by plain Dijkstra."""


def window(seed, **params):
    """A dispatcher with random idle drivers, open orders and refused pairs."""
    random = np.random.default_rng(seed)
    dispatcher = dispatcher_on(CITY, **params)
    num_drivers, num_orders = random.integers(0, 30, 2)
    dispatcher.drivers_online(
        positions(CITY, np.arange(num_drivers), random.integers(0, NUM_NODES, num_drivers))
    )
    pickups = random.integers(0, NUM_NODES, num_orders)
    dispatcher.submit(new_orders(CITY, np.arange(num_orders), pickups, (pickups + 1) % NUM_NODES))
    for _ in range(random.integers(0, 3)):
        offered = dispatcher.step(T0)
        offered = offered[offered["eta_ms"] >= 0]
        dispatcher.decline(offered["order_id"], offered["driver_id"], T0)
    return dispatcher


def stages(dispatcher):
    """The candidates with their ETAs, and the candidate that each order takes."""
    state, world = dispatcher._state, dispatcher._world
    found = find_candidates(state, world, T0)
    return found, match(found, state, world, T0)


def outcome(dispatcher):
    """How many orders are served, and the sum of their pickup ETAs."""
    found, chosen = stages(dispatcher)
    taken = chosen[chosen >= 0]
    return len(taken), int(found.eta_ms[taken].sum())


@pytest.mark.parametrize("seed", range(25))
def test_each_batch_is_certified(seed):
    dispatcher = window(seed)
    found, chosen = stages(dispatcher)
    problem = AssignmentProblem.checked(
        found.first_candidate, found.candidate_driver, found.cost, len(found.driver_idx)
    )
    best = solve(problem)
    proof = certificate(problem, best)
    assert proof.optimal, proof.violations
    assert outcome(dispatcher) == (best.num_served, best.total_cost)
    assert chosen.tolist() == best.candidate_of_order.tolist()


@pytest.mark.parametrize("seed", range(25))
def test_candidates_are_the_nearest_by_air_that_did_not_refuse_and_come_in_time(seed):
    dispatcher = window(seed, candidates_per_order=6, max_pickup_s=100.0)
    found, _ = stages(dispatcher)
    state, world = dispatcher._state, dispatcher._world
    fleet, orders = state.fleet, state.orders
    x, y = fleet.x[found.driver_idx].tolist(), fleet.y[found.driver_idx].tolist()
    for row, order in enumerate(found.order_idx):
        pickup = orders.pickup_node[order]
        near = [driver for _, driver in neighbours(x, y, world.node_x[pickup], world.node_y[pickup], 6)]
        expected = []
        for driver in near:
            eta_ms = TO_NODE[pickup][fleet.node[found.driver_idx[driver]]]
            refused = orders.refused(np.array([order]), found.driver_idx[[driver]])[0]
            if eta_ms <= 100_000 and not refused:
                expected.append((driver, eta_ms))
        mine = slice(found.first_candidate[row], found.first_candidate[row + 1])
        told = zip(found.candidate_driver[mine].tolist(), found.eta_ms[mine].tolist(), strict=True)
        assert list(told) == sorted(expected, key=lambda entry: entry[1])
        assert found.num_of_order[row] == len(expected)


@pytest.mark.parametrize("seed", range(25))
def test_batch_serves_no_fewer_and_of_equal_numbers_at_no_higher_pickup_time(seed):
    batch, nearest = (outcome(window(seed, policy=policy)) for policy in ("batch", "nearest"))
    if seed_without_refusals(seed):
        assert batch[0] >= nearest[0]
        if batch[0] == nearest[0]:
            assert batch[1] <= nearest[1]


def seed_without_refusals(seed):
    """Whether both policies saw the same window: what was refused differs by policy."""
    return window(seed)._state.orders.num_refusals == 0


def test_there_are_windows_where_batch_saves_time_and_where_it_serves_more():
    compared = []
    for seed in range(60):
        if seed_without_refusals(seed):
            batch, nearest = (outcome(window(seed, policy=policy)) for policy in ("batch", "nearest"))
            compared.append((batch[0] - nearest[0], nearest[1] - batch[1]))
    assert any(served == 0 and saved > 0 for served, saved in compared)
    assert min(served for served, _ in compared) == 0


@pytest.mark.parametrize("policy", ["batch", "nearest"])
@pytest.mark.parametrize("seed", range(10))
def test_a_plan_names_rows_with_their_etas_and_changes_nothing(policy, seed):
    dispatcher = window(seed, policy=policy)
    before, state = tables_of(dispatcher), dispatcher._state
    proposed = plan(state, dispatcher._world, T0)
    assert_same_tables(before, tables_of(dispatcher))
    assert len(set(proposed.driver_idx.tolist())) == len(proposed.driver_idx)
    found, chosen = stages(dispatcher)
    assert len(proposed.order_idx) == np.count_nonzero(chosen >= 0)
    for order, driver, eta_ms, nearest_eta_ms in zip(
        proposed.order_idx, proposed.driver_idx, proposed.eta_ms, proposed.nearest_eta_ms, strict=True
    ):
        from_drivers = TO_NODE[state.orders.pickup_node[order]]
        assert eta_ms == from_drivers[state.fleet.node[driver]]
        row = found.order_idx.tolist().index(order)
        candidates = found.driver_idx[found.candidate_driver[found.order_of_candidate == row]]
        assert nearest_eta_ms == min(from_drivers[state.fleet.node[one]] for one in candidates)
    assert proposed.open_order_idx.tolist() == found.order_idx.tolist()
    assert proposed.num_cars.tolist() == found.num_of_order.tolist()


def test_nearest_is_first_come_first_served():
    dispatcher = window(3, policy="nearest")
    found, chosen = stages(dispatcher)
    taken = set()
    for row in range(len(found.order_idx)):
        mine = range(found.first_candidate[row], found.first_candidate[row + 1])
        free = [(found.eta_ms[c], c) for c in mine if found.candidate_driver[c] not in taken]
        expected = found.candidate_driver[min(free)[1]] if free else -1
        assert (found.candidate_driver[chosen[row]] if chosen[row] >= 0 else -1) == expected
        taken.add(expected)


def test_an_order_that_nobody_reaches_gets_no_offer_and_takes_none_away():
    dispatcher = dispatcher_on(CITY, max_pickup_s=20.0)
    dispatcher.drivers_online(positions(CITY, [1], [0]))
    dispatcher.submit(new_orders(CITY, [1, 2, 3], [80, 0, 79], [0, 80, 3]))
    proposed = plan(dispatcher._state, dispatcher._world, T0)
    assert proposed.order_idx.tolist() == [1]
    assert proposed.nearest_eta_ms.tolist() == [0]
    assert proposed.num_cars.tolist() == [0, 1, 0]


def test_propose_leaves_nothing_of_an_empty_window():
    dispatcher = dispatcher_on(CITY)
    found, chosen = stages(dispatcher)
    proposed = propose(found, chosen, dispatcher._state)
    assert proposed.num_moved == 0
    assert [len(column) for column in vars(proposed).values() if np.ndim(column)] == [0] * 6
