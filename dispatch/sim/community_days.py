"""Many days of a community with a CRM behind them: the engine is told of people, the CRM of what happened."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from dispatch.analysis.community_day import CommunityDay
from dispatch.analysis.driver_table import driver_table
from dispatch.analysis.groups import kpis_by
from dispatch.analysis.kpis import kpis
from dispatch.analysis.order_table import OrderTable, order_table
from dispatch.engine.events import Events
from dispatch.errors import InputError
from dispatch.sim.community import (
    DRIVER_LEAVES,
    JOINS,
    LEAVES,
    Community,
    CommunityParams,
)
from dispatch.sim.driver_moods import driver_moods
from dispatch.sim.experiences import Experiences, experiences
from dispatch.sim.people import People, Wholes, luck
from dispatch.sim.population import booked_ahead
from dispatch.sim.runner import Simulation
from dispatch.sim.scenario import Scenario
from dispatch.sim.scenario_build import CityCache
from dispatch.sim.scenario_file import ScenarioFile
from dispatch.units import MS_PER_DAY, MS_PER_S, NO_VALUE

if TYPE_CHECKING:
    from dispatch.sim.liaison import Liaison

FIRST_DAY: Final = 19_723
"""2024-01-01, days since 1970."""
ORDERS_A_DAY: Final = 10_000_000
"""Ids of a day's orders begin at a multiple of it."""
POOR_SHARE: Final = 0.6
SEED_STEP: Final = 7919
"""Days of a seed, and of the next ones, are all different."""
_MS_PER_MIN: Final = 60 * MS_PER_S

MakeDay = Callable[[int, int], Scenario]
"""Gives the scenario of a day, by its number and how many orders it has."""


@dataclass
class CommunityDays:
    """A community under way.

    Parameters
    ----------
    make_day : callable
        See :data:`MakeDay`; with as many drivers each day.
    params : CommunityParams
    seed : int
    num_orders, num_drivers : int
        Orders of a usual day; drivers on the roster.
    liaison : Liaison, optional
        To the CRM; None: there is none, nobody has a tier, and the engine knows nothing of drivers.
    """

    make_day: MakeDay
    params: CommunityParams
    seed: int
    num_orders: int
    num_drivers: int
    liaison: Liaison | None = None
    community: Community = field(init=False)
    days: list[CommunityDay] = field(init=False, default_factory=list)
    _bad_share: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        """Let the people of the first day come."""
        self.community = Community.begin(self.params, self.num_drivers, self.seed)
        if self.liaison is not None:
            self.liaison.begin(self.community, FIRST_DAY * MS_PER_DAY)

    def run(
        self,
        on_day: Callable[[CommunityDay], None] | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> list[CommunityDay]:
        """Let all days pass, or those until it is stopped; each day ends whole."""
        while len(self.days) < self.params.days and not should_stop():
            self.days.append(self._next_day(len(self.days)))
            if on_day is not None:
                on_day(self.days[-1])
        return self.days

    # --- one day ---------------------------------------------------------------------------------

    def _next_day(self, day: int) -> CommunityDay:
        started = time.perf_counter()
        before_s, before_apply_s = self._spent()
        scenario = self._peopled(day, self._scenario(day))
        simulation = Simulation(scenario)
        self._let_pass(simulation, day)
        events = _named(simulation.events, day)
        orders = order_table(events)
        felt = experiences(self.community, orders)
        end_ms = (FIRST_DAY + day + 1) * MS_PER_DAY
        if self.liaison is not None:
            self.liaison.end_of_day(felt, end_ms)
        left = self._customers_leave(felt, day)
        joined = self._customers_join(day, end_ms)
        drivers_left = self._drivers_leave(day, end_ms)
        self._bad_share = float(felt.is_bad.mean()) if len(felt.order_id) else 0.0
        crm_s, apply_s = self._spent()
        crm_s, apply_s = crm_s - before_s, apply_s - before_apply_s
        sim_s = time.perf_counter() - started - crm_s
        num_left = (len(left), len(joined), len(drivers_left))
        return self._figures(day, events, orders, felt, num_left, (sim_s, crm_s, apply_s))

    def _spent(self) -> tuple[float, float]:
        return (0.0, 0.0) if self.liaison is None else (self.liaison.spent_s, self.liaison.apply_s)

    def _scenario(self, day: int) -> Scenario:
        """Give the day as it is without its people: orders and shifts at their instants, drivers by id."""
        made = self.make_day(day, self.community.num_orders(day, self.num_orders))
        start_ms = (FIRST_DAY + day) * MS_PER_DAY
        moved_ms = start_ms - made.start_at_ms
        shifts = made.shifts
        return replace(
            made,
            start_at_ms=start_ms,
            orders=replace(made.orders, requested_at_ms=made.orders.requested_at_ms + moved_ms),
            shifts=replace(
                shifts,
                driver_id=self.community.driver_id[shifts.driver_id],
                start_at_ms=shifts.start_at_ms + moved_ms,
                end_at_ms=shifts.end_at_ms + moved_ms,
            ),
        )

    def _peopled(self, day: int, scenario: Scenario) -> Scenario:
        """Give each order its customer, and what the engine is told of it."""
        scenario = booked_ahead(scenario)
        num = len(scenario.orders)
        customer_id = self.community.who_asks(day, num)
        is_first = np.zeros(num, np.int64)
        by_time = np.argsort(scenario.orders.requested_at_ms, kind="stable")
        is_first[by_time] = self.community.first_orders(customer_id[by_time])
        nothing = np.zeros(num, np.int64)
        people = People(customer_id, nothing, is_first, nothing + 1000, nothing, nothing)
        if self.liaison is None:
            return replace(scenario, people=people)
        told = self.liaison.of_orders(scenario, people, day * ORDERS_A_DAY)
        return replace(scenario, people=told, params=self.liaison.engine_params(scenario.params))

    def _let_pass(self, simulation: Simulation, day: int) -> None:
        """Simulate the day; now and then apply its events, and tell the engine of drivers."""
        every_ms = round(self.params.terms_every_min * _MS_PER_MIN)
        due_ms = simulation.now_ms
        num_applied = 0
        while simulation.num_unfinished:
            if self.liaison is not None and simulation.now_ms >= due_ms:
                num_applied = self._tell(simulation, day, num_applied)
                due_ms = simulation.now_ms + every_ms
            simulation.window()
        simulation.end(stopped=False)
        if self.liaison is not None:
            self._apply(simulation, day, num_applied)

    def _tell(self, simulation: Simulation, day: int, num_applied: int) -> int:
        assert self.liaison is not None
        num_applied = self._apply(simulation, day, num_applied)
        self.liaison.work_off(simulation.now_ms)
        terms = self.liaison.driver_terms(self.community.driver_id, simulation.now_ms)
        if terms is not None:
            simulation.dispatcher.set_driver_terms(terms)
        return num_applied

    def _apply(self, simulation: Simulation, day: int, num_applied: int) -> int:
        assert self.liaison is not None
        events = simulation.events
        self.liaison.apply(_named(events[num_applied:], day), num_applied, f"day-{FIRST_DAY + day}")
        return len(events)

    # --- who stays -------------------------------------------------------------------------------

    def _customers_leave(self, felt: Experiences, day: int) -> Wholes:
        params, community = self.params, self.community
        keeps = np.where(felt.complains & felt.upheld, params.resolved_keeps, 0.0)
        stays = np.ones(community.num_customers)
        bad = felt.is_bad & (felt.customer_id != NO_VALUE)
        np.multiply.at(stays, felt.customer_id[bad] - 1, 1 - params.leave_after_bad * (1 - keeps[bad]))
        everybody = np.arange(1, community.num_customers + 1)
        drawn = luck(self.seed, LEAVES, everybody, day)
        goes = community.is_there & (drawn > stays * (1 - params.leave_daily))
        community.leave(everybody[goes])
        return everybody[goes]

    def _customers_join(self, day: int, at_ms: int) -> Wholes:
        params = self.params
        share = params.join_daily * max(1 - params.word_of_mouth * self._bad_share, 0.0)
        mean = share * params.customers
        whole = int(mean) + int(luck(self.seed, JOINS, np.array([day]))[0] < mean % 1)
        joined = self.community.join(whole)
        if self.liaison is not None:
            self.liaison.customers_joined(self.community, joined, at_ms)
        return joined

    def _drivers_leave(self, day: int, at_ms: int) -> Wholes:
        """Let drivers go, poor ones sooner; their places are filled."""
        params, roster = self.params, self.community.driver_id
        poor = np.zeros(len(roster), np.bool_)
        if self.liaison is not None:
            poor = self.liaison.poor_drivers(roster, POOR_SHARE, at_ms)
        chance = params.driver_leave_daily + np.where(poor, params.driver_leave_poor, 0.0)
        gone = roster[luck(self.seed, DRIVER_LEAVES, roster, day) < chance]
        hired = self.community.replace_drivers(gone)
        if self.liaison is not None:
            self.liaison.drivers_changed(gone, hired, at_ms)
        return gone

    # --- figures ---------------------------------------------------------------------------------

    def _figures(
        self,
        day: int,
        events: Events,
        orders: OrderTable,
        felt: Experiences,
        moves: tuple[int, int, int],
        spent: tuple[float, float, float],
    ) -> CommunityDay:
        num_tiers = int(felt.tier.max(initial=0)) + 1
        rated = felt.stars > 0
        moods = driver_moods(driver_table(events), self.seed, day)
        sim_s, crm_s, apply_s = spent
        num_left, num_joined, num_drivers_left = moves
        return CommunityDay(
            day=day,
            kpis=kpis(events),
            by_tier=kpis_by(events, "tier"),
            num_orders=len(orders),
            num_completed=int(orders.is_completed.sum()),
            num_events=len(events),
            num_customers=int(self.community.is_there.sum()),
            num_active=len(np.unique(orders.customer_id)),
            num_joined=num_joined,
            num_left=num_left,
            num_drivers_left=num_drivers_left,
            num_drivers_asked=len(moods.driver_id),
            num_drivers_bad=int(moods.is_bad.sum()),
            num_judged=len(felt.order_id),
            num_bad=int(felt.is_bad.sum()),
            num_complaints=int(felt.complains.sum()),
            num_rated=int(rated.sum()),
            num_rated_well=int((felt.stars >= 4).sum()),
            stars=int(felt.stars.sum()),
            bad_by_tier=tuple(np.bincount(felt.tier[felt.is_bad], minlength=num_tiers).tolist()),
            judged_by_tier=tuple(np.bincount(felt.tier, minlength=num_tiers).tolist()),
            sim_s=sim_s,
            crm_s=crm_s,
            apply_s=apply_s,
        )


def community_of(
    file: ScenarioFile, liaison: Liaison | None = None, seed: int | None = None
) -> CommunityDays:
    """Give the community of a scenario file, before its first day.

    Parameters
    ----------
    file : ScenarioFile
        Its table ``community`` says how many days and people there are; orders and drivers of a usual day are
        those of the table ``day``. Each day has orders and shifts of its own.
    liaison : Liaison, optional
        To the CRM behind it.
    seed : int, optional
        Instead of the file's.

    Raises
    ------
    InputError
        The days of the city are recorded: they belong to other people.
    """
    first_seed = file.values["scenario"]["seed"] if seed is None else seed
    cache: CityCache = {}
    usual = file.build(seed=first_seed, city_cache=cache)
    if usual.date is not None:
        raise InputError(
            f"city.source is {file.values['city']['source']!r}: its days are recorded, and a community makes "
            "its own; use a city without trips, or the built-in one"
        )

    def make_day(day: int, num_orders: int) -> Scenario:
        of_day = file.with_value("day.orders", num_orders)
        return of_day.build(seed=first_seed + (day + 1) * SEED_STEP, city_cache=cache)

    return CommunityDays(
        make_day,
        CommunityParams(**file.values["community"]),
        first_seed,
        len(usual.orders),
        len(np.unique(usual.shifts.driver_id)),
        liaison,
    )


def _named(events: Events, day: int) -> Events:
    """Give events of a day with the ids that its orders have among those of all days."""
    named = events.copy()
    has_order = named["order_id"] != NO_VALUE
    named["order_id"][has_order] += day * ORDERS_A_DAY
    return named
