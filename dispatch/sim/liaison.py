"""Between a simulated community and the CRM: what each is told of the other, by the CRM's public calls."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.events import Events
from dispatch.engine.params import DispatchParams
from dispatch.engine.terms import DriverTerms
from dispatch.errors import InputError
from dispatch.sim.community import CAUSES, REFERRED, Community
from dispatch.sim.experiences import CODE_OF_CAUSE, Experiences
from dispatch.sim.people import People, Wholes, luck
from dispatch.sim.scenario import Scenario
from dispatch.units import MS_PER_DAY, MS_PER_S

if TYPE_CHECKING:
    from dispatch.crm.crm import Crm
    from dispatch.crm.vertical import Vertical

COMPLAINT_AFTER_MS: Final = 10 * 60 * MS_PER_S
RESOLVED_AFTER: Final = 3
"""Times as long as until the first answer."""
GOOD_WILL_POINTS: Final = 200
"""For a complaint that is upheld. An assumption."""
TENANT, CITY = "simulated", "city"
_DETOUR: Final = 1.3
_M_PER_MS: Final = 0.008
_QUALIFIED_DAYS: Final = 3650
_FIRST_PHONE: Final = 2_000_000
"""Numbers of San Francisco, +1 415 200 0000 and on: valid ones by their form, nobody's by intent."""


def check_vertical(vertical: Vertical) -> None:
    """Raise :class:`InputError` unless a vertical knows what the customers of a community complain of."""
    missing = sorted(set(CODE_OF_CAUSE.values()) - set(vertical.problem_named))
    if missing:
        raise InputError(
            f"vertical is {vertical.name!r}: a simulated community takes rides, and complains of "
            f"{', '.join(missing)}, which the problems of this vertical lack; take ride, or a file of rules "
            "that has them"
        )


@dataclass(frozen=True)
class _Pending:
    """A complaint that staff will answer, and decide."""

    complaint_id: int
    respond_at_ms: int
    resolve_at_ms: int
    upheld: bool
    is_answered: bool = False


@dataclass
class Liaison:
    """Tells the CRM what happens to a community, and the engine what the CRM knows.

    Parameters
    ----------
    crm : Crm
        Empty, of a ride-hailing vertical: :func:`check_vertical`.
    uses_tiers : bool
        The engine is told priorities, patience and free upgrades; otherwise tiers are kept, and change
        nothing.
    uses_scores : bool
        The engine is told scores, incomes and eligibility of drivers.
    """

    crm: Crm
    uses_tiers: bool = True
    uses_scores: bool = True
    scope_id: int = field(init=False)
    spent_s: float = field(init=False, default=0.0)
    """wall time of the CRM so far"""
    apply_s: float = field(init=False, default=0.0)
    num_applied: int = field(init=False, default=0)
    _latest_ms: int = field(init=False, default=0)
    _pending: list[_Pending] = field(init=False, default_factory=list)
    _rostered_until: dict[int, int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Name the place of the community."""
        check_vertical(self.crm.context.vertical)
        self.scope_id = self.crm.scope(TENANT, CITY)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.spent_s += time.perf_counter() - started

    def _now(self, at_ms: int) -> int:
        """Give the instant, or that of the latest event: a day's last orders end after midnight."""
        return max(at_ms, self._latest_ms)

    # --- people ----------------------------------------------------------------------------------

    def begin(self, community: Community, at_ms: int) -> None:
        """Enter all who are there on the first day."""
        with self._timed():
            self._register(np.arange(1, community.num_customers + 1), community.seed, at_ms)
            self._hire(community.driver_id, at_ms)

    def customers_joined(self, community: Community, customer_id: Wholes, at_ms: int) -> None:
        """Enter new customers (n,), some of whom others have referred."""
        at_ms = self._now(at_ms)
        if not len(customer_id):
            return
        with self._timed():
            self._register(customer_id, community.seed, at_ms)
            referred = luck(community.seed, REFERRED, customer_id) < community.params.referred_share
            there = np.flatnonzero(community.is_there[: int(customer_id[0]) - 1]) + 1
            drawn = luck(community.seed, REFERRED, customer_id, 1)
            for one, draw in zip(customer_id[referred].tolist(), drawn[referred].tolist(), strict=True):
                referrer = int(there[int(draw * len(there))])
                code = self.crm.referrals.code(referrer, at_ms=at_ms, seed=referrer)
                self.crm.referrals.refer(one, code, at_ms=at_ms)

    def drivers_changed(self, gone: Wholes, hired: Wholes, at_ms: int) -> None:
        """Take note of drivers who left (n,), and enter those who were hired for them (n,)."""
        at_ms = self._now(at_ms)
        with self._timed():
            for one in gone.tolist():
                self.crm.drivers.leave(one, at_ms=at_ms)
            self._hire(hired, at_ms)

    def _register(self, customer_id: Wholes, seed: int, at_ms: int) -> None:
        ids = customer_id.tolist()
        month = 1 + (luck(seed, REFERRED, customer_id, 2) * 12).astype(np.int64)
        day = 1 + (luck(seed, REFERRED, customer_id, 3) * 28).astype(np.int64)
        columns = {
            "customer_id": ids,
            "name": [f"Customer {one}" for one in ids],
            "phone": [f"+1415{_FIRST_PHONE + one}" for one in ids],
            "birthday_mmdd": (100 * month + day).tolist(),
            "channel": ["simulation"] * len(ids),
        }
        self.crm.customers.register_many(columns, scope_id=self.scope_id, at_ms=at_ms)

    def _hire(self, driver_id: Wholes, at_ms: int) -> None:
        if not len(driver_id):
            return
        self.crm.drivers.register_many(driver_id.tolist(), scope_id=self.scope_id, at_ms=at_ms)
        self.crm.qualifications.qualify_many(
            driver_id.tolist(),
            scope_id=self.scope_id,
            at_ms=at_ms,
            valid_until_ms=at_ms + _QUALIFIED_DAYS * MS_PER_DAY,
            courses=[course.code for course in self.crm.context.vertical.courses],
        )

    def poor_drivers(self, driver_id: Wholes, share: float, at_ms: int) -> NDArray[np.bool_]:
        """Tell which drivers (n,) earn less an hour than so large a share of the median."""
        with self._timed():
            incomes = self.crm.scores.incomes(scope_id=self.scope_id, at_ms=at_ms)
        if not len(incomes.driver_id):
            return np.zeros(len(driver_id), np.bool_)
        limit = share * np.median(incomes.cents_per_hour)
        poor: NDArray[np.bool_] = np.isin(driver_id, incomes.driver_id[incomes.cents_per_hour < limit])
        return poor

    # --- the day ---------------------------------------------------------------------------------

    def of_orders(self, scenario: Scenario, people: People, first_order_id: int) -> People:
        """Give what the engine is told of a day's orders: tiers as they are in the morning."""
        with self._timed():
            self._plan_shifts(scenario)
            told = self.crm.dispatch_inputs.of_orders(
                people.customer_id,
                at_ms=scenario.start_at_ms,
                is_prebooked=scenario.orders.requested_at_ms < _wanted(scenario),
                order_id=first_order_id + np.arange(len(people.customer_id)),
            )
            self._use_coupons(scenario, people, first_order_id)
        if not self.uses_tiers:
            return replace(people, tier=told.tier)
        told_of = {name: getattr(told, name) for name in ("tier", "priority", "patience_ms", "may_upgrade")}
        return replace(people, **told_of)

    def _plan_shifts(self, scenario: Scenario) -> None:
        """Put the day's shifts on the roster, where the rules ask; none begins before another ends."""
        if not self.crm.context.vertical.duty.needs_shift:
            return
        shifts, at_ms, until = scenario.shifts, self._now(scenario.start_at_ms), self._rostered_until
        told = zip(
            shifts.driver_id.tolist(), shifts.start_at_ms.tolist(), shifts.end_at_ms.tolist(), strict=True
        )
        planned = []
        for driver, start_ms, end_ms in told:
            begin_ms = max(start_ms, until.get(driver, 0))
            if end_ms > max(begin_ms, at_ms):
                planned.append((driver, begin_ms, end_ms))
                until[driver] = end_ms
        ids, begins, ends = ([row[k] for row in planned] for k in range(3))
        self.crm.rosters.plan_many(ids, begins, ends, scope_id=self.scope_id, at_ms=at_ms)

    def _use_coupons(self, scenario: Scenario, people: People, first_order_id: int) -> None:
        """Let customers who hold a coupon use it on their first order of the day."""
        from dispatch.crm.loyalty.redemptions import Booking

        held = self.crm.coupons.holders(scope_id=self.scope_id, at_ms=scenario.start_at_ms)
        quoted_cents, wanted_at_ms = _quoted_cents(scenario), _wanted(scenario)
        customers, row = np.unique(people.customer_id, return_index=True)
        for one, at in zip(customers.tolist(), row.tolist(), strict=True):
            if one in held:
                wanted_ms = int(wanted_at_ms[at])
                booking = Booking(first_order_id + at, quoted_cents[at], wanted_at_ms=wanted_ms)
                asked_ms = int(scenario.orders.requested_at_ms[at])
                self.crm.coupons.reserve(one, held[one], booking, at_ms=asked_ms)

    def engine_params(self, params: DispatchParams) -> DispatchParams:
        """Give the engine's parameters with the vertical's published rule of priority, where it is used."""
        if not self.uses_tiers:
            return params
        policy = self.crm.context.vertical.policy(params.rules)
        return replace(params, policy=policy)

    def driver_terms(self, driver_id: Wholes, at_ms: int) -> DriverTerms | None:
        """Give what the engine is told of drivers (n,) now; None: nothing."""
        if not self.uses_scores:
            return None
        with self._timed():
            return self.crm.dispatch_inputs.of_drivers(driver_id, at_ms=at_ms)

    def apply(self, events: Events, first_seq: int, stream: str) -> None:
        """Hand on what happened."""
        with self._timed():
            started = time.perf_counter()
            self.crm.events.apply(events, first_seq=first_seq, stream=stream, scope_id=self.scope_id)
            self.apply_s += time.perf_counter() - started
            self.num_applied += len(events)
            self._latest_ms = max(self._latest_ms, int(events["at_ms"].max(initial=0)))

    # --- the evening -----------------------------------------------------------------------------

    def end_of_day(self, felt: Experiences, at_ms: int) -> None:
        """Hand on ratings and complaints, which come in the evening, and do what is done every night."""
        with self._timed():
            at_ms = self._now(at_ms)
            rated = np.flatnonzero(felt.stars > 0)
            self.crm.ratings.rate_many(
                "driver",
                felt.order_id[rated].tolist(),
                felt.stars[rated].tolist(),
                at_ms=(felt.ended_at_ms[rated] + COMPLAINT_AFTER_MS).tolist(),
            )
            self._file(felt, at_ms)
            self.crm.coupons.expire(at_ms=at_ms)
            self.crm.points.expire(at_ms=at_ms)
            self.crm.memberships.review(at_ms=at_ms)
            self.crm.care.run(at_ms)
            if self.uses_scores:
                self.crm.blocks.review(scope_id=self.scope_id, at_ms=at_ms)

    def _file(self, felt: Experiences, at_ms: int) -> None:
        from dispatch.crm.service.complaints import NewComplaint

        rows = np.flatnonzero(felt.complains)
        told = [
            NewComplaint(
                int(felt.customer_id[row]), CODE_OF_CAUSE[CAUSES[felt.cause[row]]], int(felt.order_id[row])
            )
            for row in rows
        ]
        made = self.crm.service_desk.file_many(told, at_ms=[at_ms] * len(told), scope_id=self.scope_id)
        for complaint_id, row in zip(made, rows.tolist(), strict=True):
            answered_ms = int(felt.answered_ms[row])
            resolved_ms = RESOLVED_AFTER * answered_ms
            upheld = bool(felt.upheld[row])
            self._pending.append(_Pending(complaint_id, at_ms + answered_ms, at_ms + resolved_ms, upheld))

    def work_off(self, at_ms: int) -> None:
        """Let staff answer and decide the complaints that are due by an instant."""
        from dispatch.crm.service.complaints import NOTHING, Compensation

        with self._timed():
            at_ms, desk, stays = self._now(at_ms), self.crm.service_desk, []
            for one in self._pending:
                if one.respond_at_ms <= at_ms and not one.is_answered:
                    desk.respond(one.complaint_id, at_ms=at_ms)
                    one = replace(one, is_answered=True)
                if one.resolve_at_ms > at_ms:
                    stays.append(one)
                    continue
                desk.resolve(
                    one.complaint_id,
                    "upheld" if one.upheld else "rejected",
                    reason="found_right" if one.upheld else "not_found",
                    at_ms=at_ms,
                    compensation=Compensation(points=GOOD_WILL_POINTS) if one.upheld else NOTHING,
                )
            self._pending = stays


def _wanted(scenario: Scenario) -> Wholes:
    return scenario.orders.requested_at_ms if scenario.wanted_at_ms is None else scenario.wanted_at_ms


def _quoted_cents(scenario: Scenario) -> list[int]:
    """Quote a day's orders, about as their customers would be: by air, with a usual detour and pace."""
    orders, to_plane = scenario.orders, scenario.city.projection.to_plane
    x, y = to_plane(orders.pickup_lon, orders.pickup_lat)
    to_x, to_y = to_plane(orders.dropoff_lon, orders.dropoff_lat)
    way_m = _DETOUR * np.hypot(to_x - x, to_y - y)
    cents = scenario.fare.fare_cents(way_m, np.rint(way_m / _M_PER_MS).astype(np.int64))
    return [int(one) for one in cents]
