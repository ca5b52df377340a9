"""Simple statistics of customers: repeat rate, second purchase, cohorts, 80/20, funnel, channels, habits.

All are counted, none is modelled; what a model would say of a customer's future belongs elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from dispatch.crm.context import Context, check_id, check_instant
from dispatch.crm.engagement.features import (
    NEVER,
    Features,
    cell_place,
    cells,
    features_in,
    habits_in,
    local_hours,
    rows_of,
)
from dispatch.crm.engagement.segment_rules import top_routes
from dispatch.crm.rules import LONGEST_DAYS, MOST_CENTS, check_name
from dispatch.crm.tables.engagement import acquisition_cost
from dispatch.crm.tables.fleet import delivery
from dispatch.crm.tables.orders import customer_day, orders
from dispatch.crm.tables.people import customer
from dispatch.errors import InputError
from dispatch.limits import check_whole
from dispatch.roads.trips import zone_info
from dispatch.store import bulk
from dispatch.units import MS_PER_DAY

_MOST_LISTED: Final = 100_000


@dataclass(frozen=True)
class Rate:
    """How many of how many."""

    num: int
    of: int

    @property
    def share(self) -> float:
        """0 … 1; NaN of none."""
        return self.num / self.of if self.of else float("nan")


@dataclass(frozen=True)
class Funnel:
    """Orders submitted within a window, and how far they came."""

    channel: str
    submitted: int
    offered: int
    accepted: int
    picked_up: int
    completed: int


@dataclass(frozen=True)
class Acquired:
    """Customers won by a channel within a window."""

    channel: str
    customers: int
    ordered: int
    """of them: completed an order since"""
    cost_cents: int | None
    """as imported, None where nobody told any"""

    @property
    def cents_per_customer(self) -> float | None:
        """The acquisition cost (CAC)."""
        known = self.cost_cents is not None and self.customers
        return self.cost_cents / self.customers if known and self.cost_cents is not None else None


@dataclass(frozen=True)
class Cohorts:
    """Customers by the period of their first completed order, and how many ordered again in which later."""

    first_day: NDArray[np.int64]
    """(cohorts,) day on which each period begins"""
    num_customers: NDArray[np.int64]
    """(cohorts,)"""
    active: NDArray[np.int64]
    """(cohorts, periods) who ordered so many periods later; -1 where that is not over yet"""

    @property
    def retention(self) -> NDArray[np.float64]:
        """(cohorts, periods) shares 0 … 1; NaN where the period is not over, or nobody began."""
        of = np.maximum(self.num_customers, 1)[:, None]
        known = (self.active >= 0) & (self.num_customers > 0)[:, None]
        return np.where(known, self.active / of, np.nan)


@dataclass(frozen=True)
class Route:
    """A way that a customer rides often: cells of about 1 km, by their middles."""

    customer_id: int
    from_lon_e6: int
    from_lat_e6: int
    to_lon_e6: int
    to_lat_e6: int
    hour: int
    """local, 0 … 23"""
    times: int


class Statistics:
    """Figures of a scope; instants tell until when is counted."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def features(self, scope_id: int, at_ms: int, window_days: int = 30) -> Features:
        """Give recency, frequency, monetary value and more of each customer, by pseudonymous id."""
        _check_window(at_ms, window_days)
        with self._context.looking("statistics.customers", scope_id=scope_id) as connection:
            return self._features_in(connection, scope_id, at_ms, window_days)

    def repeat_rate(self, scope_id: int, at_ms: int, window_days: int = 30) -> Rate:
        """Tell how many of those who completed an order within the window completed more than one."""
        found = self._figures(scope_id, at_ms, window_days)
        return Rate(int(np.sum(found.completed >= 2)), int(np.sum(found.completed >= 1)))

    def share_of_best(
        self, scope_id: int, at_ms: int, window_days: int = 365, best_permille: int = 200
    ) -> float:
        """Give the share of spending by the best customers: 0.8 of 20 % is the rule of thumb.

        Counted among those who spent; NaN where nobody did.
        """
        check_whole("best_permille", best_permille, 1, 1000)
        spent = np.sort(self._figures(scope_id, at_ms, window_days).spend_cents)[::-1]
        spent = spent[spent > 0]
        if not len(spent):
            return float("nan")
        num = max(1, round(len(spent) * best_permille / 1000))
        return float(spent[:num].sum() / spent.sum())

    def engagement(self, scope_id: int, at_ms: int, window_days: int = 30) -> dict[str, Rate]:
        """Tell by tier how many members were active: completed an order within the window."""
        found, tiers = self._figures(scope_id, at_ms, window_days), self._context.vertical.tiers
        is_active = found.completed > 0
        return {
            tier.name: Rate(int(np.sum(is_active & (found.tier == row))), int(np.sum(found.tier == row)))
            for row, tier in enumerate(tiers)
        }

    def second_purchase(
        self, scope_id: int, from_ms: int, until_ms: int, within_days: int = 30, *, at_ms: int
    ) -> Rate:
        """Tell how many of those who first completed an order in a window completed a second one soon.

        Only those are counted who had all of `within_days` by `at_ms`.
        """
        _check_span(from_ms, until_ms)
        _check_window(at_ms, within_days)
        with self._context.looking("statistics.read", scope_id=scope_id) as connection:
            found = _numbered_in(scope_id)
            waited = found.c.at_ms + within_days * MS_PER_DAY
            came = sa.case((found.c.next_at_ms <= waited, 1), else_=0)
            row = connection.execute(
                sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(came), 0)).where(
                    found.c.number == 1,
                    found.c.at_ms >= from_ms,
                    found.c.at_ms < until_ms,
                    waited <= at_ms,
                )
            ).one()
        return Rate(int(row[1]), int(row[0]))

    def cohorts(self, scope_id: int, from_ms: int, at_ms: int, period_days: int = 30) -> Cohorts:
        """Follow customers by the period of their first completed order; the first begins at `from_ms`."""
        _check_span(from_ms, at_ms)
        _check_window(at_ms, period_days)
        begin, now = from_ms // MS_PER_DAY, at_ms // MS_PER_DAY
        table = customer_day.c
        with self._context.looking("statistics.read", scope_id=scope_id) as connection:
            who = sa.func.coalesce(customer.c.merged_into, customer.c.customer_id)
            joined = customer_day.join(customer, customer.c.customer_id == table.customer_id)
            counts = (customer.c.scope_id == scope_id, table.completed > 0, table.day <= now)
            began = connection.execute(
                sa.select(who, sa.func.min(table.day)).select_from(joined).where(*counts).group_by(who)
            ).all()
            period = sa.cast((table.day - begin) // period_days, sa.BigInteger)
            rows = connection.execute(
                sa.select(who, period).select_from(joined).where(*counts, table.day >= begin).distinct()
            ).all()
        return _cohorts(
            _pairs(began), _pairs(rows), (now - begin) // period_days + 1, (begin, now, period_days)
        )

    def funnel(self, scope_id: int, from_ms: int, until_ms: int) -> list[Funnel]:
        """Tell by channel how far the orders submitted within a window came."""
        _check_span(from_ms, until_ms)
        table = orders.c
        steps = (
            table.first_offered_at_ms,
            table.accepted_at_ms,
            table.picked_up_at_ms,
            table.dropped_off_at_ms,
        )
        counts: list[Any] = [sa.func.count(step) for step in steps]
        channel = sa.func.coalesce(table.channel, "unknown")
        with self._context.looking("statistics.read", scope_id=scope_id) as connection:
            rows = connection.execute(
                sa.select(channel, sa.func.count(), *counts)
                .where(
                    table.scope_id == scope_id,
                    table.submitted_at_ms >= from_ms,
                    table.submitted_at_ms < until_ms,
                )
                .group_by(channel)
                .order_by(channel)
            )
            return [Funnel(*row) for row in rows]

    def import_costs(
        self,
        scope_id: int,
        channel: Sequence[str],
        day: Sequence[int],
        cents: Sequence[int],
        at_ms: int,
    ) -> int:
        """Enter what winning customers cost (n,), by channel and day; the same again replaces it.

        All is entered, or nothing: :class:`InputError` names the first row that breaks a rule.
        """
        if not len(channel) == len(day) == len(cents):
            raise InputError(
                f"channel, day and cents have {len(channel)}, {len(day)}, {len(cents)} entries: all must have"
                " one a row"
            )
        told: set[tuple[str, int]] = set()
        for row, (name, one, cost) in enumerate(zip(channel, day, cents, strict=True)):
            check_name(f"channel[{row}]", name)
            check_whole(f"day[{row}]", one, 0, 84_006)
            check_whole(f"cents[{row}]", cost, 0, MOST_CENTS)
            if (name, one) in told:
                raise InputError(f"channel[{row}] is {name!r}, day[{row}] {one}: told twice")
            told.add((name, one))
        with self._context.acting("statistics.import", at_ms=at_ms, scope_id=scope_id) as connection:
            columns = {"channel": channel, "day": day, "cents": cents}
            scopes = [scope_id] * len(channel)
            return bulk.upsert(connection, acquisition_cost, {"scope_id": scopes, **columns})

    def acquisition(self, scope_id: int, from_ms: int, until_ms: int) -> list[Acquired]:
        """Tell by channel how many customers were won within a window, and at which cost."""
        _check_span(from_ms, until_ms)
        table, costs = customer.c, acquisition_cost.c
        channel = sa.func.coalesce(table.channel, "unknown")
        ordered = sa.exists().where(
            customer_day.c.customer_id == table.customer_id, customer_day.c.completed > 0
        )
        with self._context.looking("statistics.read", scope_id=scope_id) as connection:
            won = {
                name: (num, int(num_ordered))
                for name, num, num_ordered in connection.execute(
                    sa.select(channel, sa.func.count(), sa.func.sum(sa.case((ordered, 1), else_=0)))
                    .where(
                        table.scope_id == scope_id,
                        table.created_at_ms >= from_ms,
                        table.created_at_ms < until_ms,
                        table.status != "merged",
                    )
                    .group_by(channel)
                )
            }
            cost = {
                name: int(cents)
                for name, cents in connection.execute(
                    sa.select(costs.channel, sa.func.sum(costs.cents))
                    .where(
                        costs.scope_id == scope_id,
                        costs.day >= from_ms // MS_PER_DAY,
                        costs.day <= (until_ms - 1) // MS_PER_DAY,
                    )
                    .group_by(costs.channel)
                )
            }
        return [
            Acquired(name, *won.get(name, (0, 0)), cost_cents=cost.get(name))
            for name in sorted({*won, *cost})
        ]

    def top_routes(
        self, scope_id: int, at_ms: int, window_days: int = 60, least_times: int = 3, time_zone: str = "UTC"
    ) -> list[Route]:
        """List the way and hour that each customer rides most often, if often enough; most often first."""
        _check_window(at_ms, window_days)
        check_whole("least_times", least_times, 1, 100_000)
        zone = zone_info(time_zone)
        with self._context.looking("statistics.customers", scope_id=scope_id) as connection:
            found = self._features_in(connection, scope_id, at_ms, window_days)
            habits = habits_in(connection, found, zone, scope_id)
        route, times = top_routes(habits, np.ones(len(habits.row), bool), found.num_customers)
        chosen = np.flatnonzero(times >= least_times)
        chosen = chosen[np.argsort(-times[chosen], kind="stable")]
        return [
            _route(int(found.customer_id[row]), route[row].tolist(), int(times[row]))
            for row in chosen.tolist()
        ]

    def win_back(
        self, scope_id: int, at_ms: int, after_days: int = 60, limit: int = 1000
    ) -> list[tuple[int, int, int]]:
        """List customers who have not ordered for long: (id, days since, cents ever spent), best first."""
        _check_window(at_ms, after_days)
        check_whole("limit", limit, 1, _MOST_LISTED)
        with self._context.looking("statistics.customers", scope_id=scope_id) as connection:
            found = self._features_in(connection, scope_id, at_ms, 1)
        days = np.where(found.last_day == NEVER, -1, found.day - found.last_day)
        rows = np.flatnonzero(days >= after_days)
        rows = rows[np.lexsort((found.customer_id[rows], -found.lifetime_cents[rows]))][:limit]
        columns = (found.customer_id, days, found.lifetime_cents)
        return list(zip(*(column[rows].tolist() for column in columns), strict=True))

    def reorder(self, customer_id: int, at_ms: int, window_days: int = 180, limit: int = 10) -> list[Any]:
        """List what a customer orders again and again, most often first.

        Returns
        -------
        list
            Deliveries: (merchant, product, times ordered). Where there are none, ways: :class:`Route`, by the
            hour (UTC) that they were ridden at most often.
        """
        check_id("customer_id", customer_id)
        _check_window(at_ms, window_days)
        check_whole("limit", limit, 1, 1000)
        begin_ms = at_ms - window_days * MS_PER_DAY
        with self._context.looking("customer.habits", ("customer", customer_id)) as connection:
            rows = connection.execute(
                sa.select(delivery.c.merchant_id, delivery.c["items"]).where(
                    delivery.c.customer_id == customer_id,
                    delivery.c.placed_at_ms >= begin_ms,
                    delivery.c.placed_at_ms <= at_ms,
                    delivery.c.cancelled_at_ms.is_(None),
                )
            ).all()
            if rows:
                return _products(rows)[:limit]
            return _ways_in(connection, customer_id, begin_ms, at_ms)[:limit]

    def _features_in(
        self, connection: sa.Connection, scope_id: int, at_ms: int, window_days: int
    ) -> Features:
        return features_in(connection, self._context.vertical, scope_id, at_ms // MS_PER_DAY, window_days)

    def _figures(self, scope_id: int, at_ms: int, window_days: int) -> Features:
        """Read features for a sum over them, which more roles may see than single customers."""
        _check_window(at_ms, window_days)
        with self._context.looking("statistics.read", scope_id=scope_id) as connection:
            return self._features_in(connection, scope_id, at_ms, window_days)


def _check_window(at_ms: int, days: int) -> None:
    check_instant("at_ms", at_ms)
    check_whole("window_days", days, 1, LONGEST_DAYS)


def _check_span(from_ms: int, until_ms: int) -> None:
    check_instant("from_ms", from_ms)
    check_instant("until_ms", until_ms)
    if from_ms >= until_ms:
        raise InputError(f"from_ms is {from_ms}: it must be before the end, {until_ms}")


def _numbered_in(scope_id: int) -> sa.Subquery:
    """Number the completed orders of each customer of a scope, oldest first, each beside the next one."""
    who = sa.func.coalesce(customer.c.merged_into, customer.c.customer_id)
    at_ms = orders.c.dropped_off_at_ms
    oldest_first = (at_ms, orders.c.order_id)
    number = sa.func.row_number().over(partition_by=who, order_by=oldest_first)
    later = sa.func.lead(at_ms).over(partition_by=who, order_by=oldest_first)
    return (
        sa.select(at_ms.label("at_ms"), number.label("number"), later.label("next_at_ms"))
        .select_from(orders.join(customer, orders.c.customer_id == customer.c.customer_id))
        .where(customer.c.scope_id == scope_id, at_ms.is_not(None))
        .subquery()
    )


def _pairs(rows: Sequence[Any]) -> NDArray[np.int64]:
    return np.array([tuple(row) for row in rows], np.int64).reshape(-1, 2)


def _cohorts(
    began: NDArray[np.int64], seen: NDArray[np.int64], num_periods: int, span: tuple[int, int, int]
) -> Cohorts:
    """Count cohorts from first days (customers, 2) and the periods with orders (rows, 2) of each, by id."""
    begin, now, period_days = span
    began = began[np.argsort(began[:, 0])]
    started = (began[:, 1] - begin) // period_days
    cohort = started[rows_of(began[:, 0], seen[:, 0])]
    known = cohort >= 0
    active = np.zeros((num_periods, num_periods), np.int64)
    np.add.at(active, (cohort[known], (seen[:, 1] - cohort)[known]), 1)
    size = np.bincount(started[started >= 0], minlength=num_periods)
    at = np.add.outer(np.arange(num_periods), np.arange(num_periods))
    active[begin + (at + 1) * period_days > now + 1] = -1
    return Cohorts(begin + np.arange(num_periods) * period_days, size, active)


def _route(customer_id: int, route: list[int], times: int) -> Route:
    from_cell, to_cell, hour = route
    return Route(customer_id, *cell_place(from_cell), *cell_place(to_cell), hour=hour, times=times)


def _products(rows: Sequence[Any]) -> list[tuple[int, str, int]]:
    num: dict[tuple[int, str], int] = {}
    for merchant_id, items in rows:
        for one in items or []:
            key = (merchant_id, str(one["product"]))
            num[key] = num.get(key, 0) + 1
    return sorted(((*key, times) for key, times in num.items()), key=lambda one: (-one[2], one[:2]))


def _ways_in(connection: sa.Connection, customer_id: int, begin_ms: int, at_ms: int) -> list[Route]:
    table = orders.c
    rows = connection.execute(
        sa.select(
            table.pickup_lon_e6,
            table.pickup_lat_e6,
            table.dropoff_lon_e6,
            table.dropoff_lat_e6,
            table.submitted_at_ms,
        ).where(
            table.customer_id == customer_id,
            table.submitted_at_ms >= begin_ms,
            table.submitted_at_ms <= at_ms,
            table.dropped_off_at_ms.is_not(None),
        )
    ).all()
    columns: list[Any] = list(zip(*rows, strict=True)) or [[]] * 5
    from_cell, to_cell = cells(columns[0], columns[1]), cells(columns[2], columns[3])
    hour, _ = local_hours(np.array(columns[4], np.int64), zone_info("UTC"))
    known = (from_cell != NEVER) & (to_cell != NEVER)
    ways, times = np.unique(np.stack([from_cell, to_cell, hour])[:, known], axis=1, return_counts=True)
    best: dict[tuple[int, int], Route] = {}
    for place in np.argsort(-times, kind="stable").tolist():
        way = ways[:, place].tolist()
        best.setdefault((way[0], way[1]), _route(customer_id, way, int(times[place])))
    return sorted(best.values(), key=lambda one: -one.times)
