"""Small days at random: any behaviour, extremes included, under any policy."""

from dataclasses import replace
from functools import cache

import numpy as np

from cities import T0, grid_city, line_city, random_trips, shifts_of, small_scenario
from dispatch.engine.params import DispatchParams
from dispatch.engine.policy import POLICIES
from dispatch.roads.city import City
from dispatch.roads.forbidden_turns import ForbiddenTurns
from dispatch.sim.behaving import with_behaviour
from dispatch.sim.behaviour import (
    CRUISING,
    Behaviour,
    CustomerParams,
    DriverParams,
    TrafficParams,
    VehicleParams,
)
from dispatch.sim.scenario import SimParams
from dispatch.units import NO_INDEX

HOUR_MS = 3_600_000
SHARES = (0.0, 0.0, 0.1, 0.5, 1.0)
HABITS = tuple(habit for habit in CRUISING if habit != "hot_spots")
"""Without pings nothing can be learnt."""


def with_forbidden_turns(city, num_rules=6, seed=0):
    """The same streets, some turns of which may not be driven; all that was reachable stays so."""
    random, graph = np.random.default_rng(seed), city.graph
    rules = []
    while len(rules) < num_rules:
        first = int(random.integers(graph.num_arcs))
        node = int(graph.head[first])
        onwards = np.arange(graph.first_arc[node], graph.first_arc[node + 1])
        onwards = onwards[graph.head[onwards] != graph.tail[first]]
        if len(onwards) >= 2:  # another way on is left
            rules.append((first, int(random.choice(onwards))))
    return City.from_graph(city.name, replace(graph, forbidden=ForbiddenTurns.of(sorted(set(rules)))), "UTC")


@cache
def cities():
    """Cities that days are made of, and their free-flow metrics: made once."""
    grid = grid_city(7, 7, seed=1)
    chosen = (grid, line_city(12), grid_city(10, 10, seed=3, block_m=600.0), with_forbidden_turns(grid))
    return [(city, city.free_flow()) for city in chosen]


def random_shares(random, num):
    """`num` shares that sum to 1, some of them 0."""
    weight = random.choice([0.0, 1.0, 3.0], num)
    weight[random.integers(num)] += 1.0
    return tuple((weight / weight.sum()).tolist())


def random_customers(random, num_classes):
    def share():
        return float(random.choice(SHARES))

    ahead_min = float(random.choice([0.0, 1.0, 20.0]))
    return CustomerParams(
        impatient_share=share(),
        impatient_after_s=float(random.choice([1.0, 60.0, 300.0])),
        patience_hazard_per_min=float(random.choice([0.0, 0.05, 1.0, 60.0])),
        far_eta_s=float(random.choice([0.0, 60.0, 600.0])),
        far_eta_refusal_share=share(),
        late_after_s=float(random.choice([0.0, 30.0, 300.0])),
        late_cancel_share=share(),
        no_show_share=share(),
        no_show_wait_s=float(random.choice([0.0, 60.0, 300.0])),
        retry_share=share(),
        retry_after_s=float(random.choice([1.0, 30.0, 300.0])),
        max_retries=int(random.integers(0, 4)),
        first_time_share=share(),
        orders_per_customer=float(random.choice([1.0, 1.3, 10.0])),
        tier_shares=random_shares(random, 3),
        class_shares=random_shares(random, num_classes),
        prebooked_share=share(),
        prebooked_ahead_min=(ahead_min, ahead_min + float(random.choice([0.0, 15.0]))),
    )


def random_drivers(random):
    def share():
        return float(random.choice(SHARES))

    least_s = float(random.choice([0.0, 2.0, 40.0]))
    return DriverParams(
        accept_bias=float(random.choice([-1.0, 0.5, 4.2, 100.0])),
        accept_per_pickup_min=float(random.choice([0.0, 0.5])),
        accept_per_fare=float(random.choice([0.0, 0.04])),
        answer_s=(least_s, least_s + float(random.choice([0.0, 7.0]))),
        cancel_share=share(),
        break_after_h=float(random.choice([0.0, 0.05, 0.5])),
        break_min=float(random.choice([0.0, 1.0, 10.0])),
        wind_down_min=float(random.choice([0.0, 15.0])),
        wind_down_share=share(),
        cruising=str(random.choice(HABITS)),
        home_share=share(),
        follow_share=share(),
    )


def random_vehicles(random, num_classes):
    return VehicleParams(
        class_shares=random_shares(random, num_classes),
        upgrades=bool(random.integers(2)),
        seats=tuple(random.integers(1, 7, num_classes).tolist()),
        electric_share=float(random.choice(SHARES)),
        range_km=float(random.choice([5.0, 30.0, 220.0])),
        reserve_share=float(random.choice(SHARES)),
        charge_min=float(random.choice([0.0, 5.0, 40.0])),
        num_stations=int(random.integers(1, 4)),
        slots_per_station=int(random.integers(1, 3)),
    )


def random_shifts(random, num_drivers, num_nodes):
    """One to three spells of each driver, in four hours; some touch, some are short, some begin late."""
    rows = []
    for driver in range(num_drivers):
        ends_ms = np.sort(random.choice(np.arange(0, 4 * HOUR_MS, 30_000), 2 * random.integers(1, 4), False))
        if random.random() < 0.3 and len(ends_ms) > 2:
            ends_ms[2] = ends_ms[1]
        if random.random() < 0.5:
            ends_ms[0], ends_ms[-1] = 0, 4 * HOUR_MS
        for begin, end in ends_ms.reshape(-1, 2).tolist():
            if end > begin:
                rows.append((5 * driver + 2, T0 + begin, T0 + end, int(random.integers(num_nodes))))
    return shifts_of(rows or [(2, T0, T0 + HOUR_MS, 0)])


def random_ranks(random, num_nodes):
    """The rank that each node belongs to: two of them, at most."""
    rank = np.full(num_nodes, NO_INDEX, np.int32)
    rank[random.choice(num_nodes, 4, replace=False)] = random.integers(0, 2, 4)
    return rank


def random_policy(random):
    """One of the house's policies; orders change drivers more often than others, and for a small gain."""
    policy = POLICIES[str(random.choice([*POLICIES, "reassign"]))]
    return replace(policy, reassign_gain_s=1.0) if policy.reassign_gain_s else policy


def random_scenario(seed):
    """A day that is made of its seed alone."""
    random = np.random.default_rng([seed, 77])
    city, times = cities()[random.integers(4)]
    num_nodes, num_classes = city.graph.num_nodes, int(random.integers(1, 4))
    params = DispatchParams(
        policy=random_policy(random),
        reestimate_every_s=float(random.choice([0.0, 1.0, 60.0])),
        miss_after_s=float(random.choice([0.0, 10.0, 300.0])),
        candidates_per_order=int(random.choice([1, 4, 24])),
        max_pickup_s=float(random.choice([60.0, 400.0, 1200.0])),
        offer_timeout_s=float(random.choice([5.0, 30.0])),
        max_wait_s=float(random.choice([60.0, 600.0, 1800.0])),
        prebook_lead_s=float(random.choice([0.0, 120.0, 900.0])),
        upgrades=bool(random.integers(2)),
    )
    behaviour = Behaviour(
        random_customers(random, num_classes),
        random_drivers(random),
        random_vehicles(random, num_classes),
        TrafficParams(str(random.choice(["exact", "assumed"]))),
    )
    num_orders, recorded = int(random.integers(1, 90)), bool(random.integers(2))
    orders = random_trips(city, num_orders, seed, span_s=5400, recorded=recorded)
    orders = replace(orders, passengers=random.integers(0, 7, len(orders)).astype(np.int32))
    return with_behaviour(
        small_scenario(
            city=city,
            seed=seed,
            orders=orders,
            shifts=random_shifts(random, int(random.integers(1, 14)), num_nodes),
            travel_times=times,
            params=params,
            sim=SimParams(
                window_s=float(random.choice([10.0, 15.0, 30.0, 60.0])),
                boarding_s=float(random.choice([0.0, 30.0])),
                alighting_s=float(random.choice([0.0, 15.0])),
                ping_s=float(random.choice([15.0, 60.0, 120.0])),
            ),
            behaviour=behaviour,
            recorded_durations=bool(random.integers(2)),
            node_rank=random_ranks(random, num_nodes) if random.random() < 0.3 else None,
        )
    )
