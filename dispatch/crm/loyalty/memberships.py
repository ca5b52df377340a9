"""Memberships: dated tiers, reached at once by spend, orders or points, and lost by review."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from dispatch.crm.context import Context, check_instant, check_not_before
from dispatch.crm.loyalty import coupons
from dispatch.crm.loyalty.standing import Standings, standing_in
from dispatch.crm.outbox import announce_many_in
from dispatch.crm.people.persons import current_in, family_in
from dispatch.crm.rules import MOST_CENTS, check_name
from dispatch.crm.tables.loyalty import membership, points_entry
from dispatch.crm.tables.orders import customer_day
from dispatch.crm.tables.people import customer
from dispatch.crm.vertical import Vertical
from dispatch.errors import InputError, StateError
from dispatch.limits import check_whole
from dispatch.store import bulk
from dispatch.units import MS_PER_DAY

PERMILLE: Final = 1000


@dataclass(frozen=True)
class Period:
    """A tier from an instant until before another one; until now and on where there is none."""

    tier: str
    from_ms: int
    until_ms: int | None
    reason: str = "entered"
    """measured, reviewed, merged, or what a person gave"""
    keep_until_ms: int = 0
    """no review takes the tier away before"""


@dataclass(frozen=True)
class Benefits:
    """What a customer's tier entitles to."""

    tier: str
    discount_cents: int
    """off the fare or price that was told"""
    free_upgrade: bool
    """a better class of car may serve at the ordinary price"""
    weight: float
    """of an order in the matching, in units of an ordinary one's"""
    service_priority: int


class Memberships:
    """Tiers of customers.

    Who never had one has the lowest. Periods of a customer never overlap; the tier in force is kept in the
    customer's row as well. Who was merged is the customer who is left, whose tier at each instant is the
    higher of those that they had under either name.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def periods(self, customer_id: int) -> list[Period]:
        """Give all periods of a customer, oldest first."""
        with self._context.looking("membership.read", ("customer", customer_id)) as connection:
            return periods_in(connection, self._context.vertical, customer_id)

    def tier_at(self, customer_id: int, *, at_ms: int) -> str:
        """Give the tier that a customer had at an instant."""
        check_instant("at_ms", at_ms)
        held = [
            one.tier
            for one in self.periods(customer_id)
            if one.from_ms <= at_ms and (one.until_ms is None or at_ms < one.until_ms)
        ]
        return held[0] if held else self._context.vertical.tiers[0].name

    def benefits(self, customer_id: int, fare_cents: int, *, at_ms: int) -> Benefits:
        """Tell what a customer's tier entitles to at an instant, and what it takes off a fare or price."""
        check_whole("fare_cents", fare_cents, 0, MOST_CENTS)
        tier = self._context.vertical.tier(self.tier_at(customer_id, at_ms=at_ms))
        discount_cents = fare_cents * tier.fee_discount_permille // PERMILLE
        return Benefits(tier.name, discount_cents, tier.free_upgrade, tier.weight, tier.service_priority)

    def progress(self, customer_id: int, *, at_ms: int) -> tuple[int, int | None]:
        """Give a customer's measure within the window, and how far the next tier is; None at the top."""
        check_instant("at_ms", at_ms)
        vertical = self._context.vertical
        with self._context.looking("membership.read", ("customer", customer_id)) as connection:
            measure = measure_in(connection, vertical, customer_id, at_ms)
        above = [tier.at_least - measure for tier in vertical.tiers if tier.at_least > measure]
        return measure, above[0] if above else None

    def set_tier(
        self, customer_id: int, tier: str, *, at_ms: int, reason: str, keep_until_ms: int | None = None
    ) -> None:
        """Set a tier by hand, which the audit notes.

        Parameters
        ----------
        customer_id : int
        tier : str
            One of the vertical's.
        at_ms : int
            Not before the period in force began.
        reason : str
            A name, like ``goodwill``.
        keep_until_ms : int, optional
            No review takes it away before; by default ``membership.keep_days`` from now.
        """
        vertical = self._context.vertical
        row = vertical.tier_row[vertical.tier(tier).name]
        check_name("reason", reason)
        check_instant("at_ms", at_ms)
        kept_ms = (
            at_ms + vertical.membership.keep_days * MS_PER_DAY if keep_until_ms is None else keep_until_ms
        )
        check_not_before("keep_until_ms", kept_ms, at_ms, "the beginning")
        details: dict[str, Any] = {"tier": tier, "reason": reason}
        target = ("customer", customer_id)
        with self._context.acting("membership.set", target, at_ms=at_ms, details=details) as connection:
            (found,) = _locked(connection, [customer_id])
            if found.status != "active":
                raise StateError(f"customer {customer_id} is not active: it has no tier")
            known_ms = max(found.from_ms or 0, found.last_until_ms or 0)
            check_not_before("at_ms", at_ms, known_ms, "the last change of the tier")
            details["before"] = found.tier or vertical.tiers[0].name
            _change_in(connection, vertical, {customer_id: row}, at_ms, reason, kept_ms)

    def enter(self, customer_id: int, periods: Sequence[Period], *, at_ms: int) -> None:
        """Enter the history of a customer from another system; the last period may be open.

        Raises
        ------
        InputError
            A tier is unknown; or two periods overlap, among those told or with those that are there.
        """
        check_instant("at_ms", at_ms)
        told = _checked(self._context.vertical, periods, at_ms)
        details = {"num": len(told)}
        target = ("customer", customer_id)
        with self._context.acting("membership.enter", target, at_ms=at_ms, details=details) as connection:
            _locked(connection, [customer_id])
            _check_apart([*_periods(connection, [customer_id]), *told])
            kept_ms = self._context.vertical.membership.keep_days * MS_PER_DAY
            rows = [
                {
                    "customer_id": customer_id,
                    "tier": one.tier,
                    "from_ms": one.from_ms,
                    "until_ms": one.until_ms,
                    "keep_until_ms": max(one.keep_until_ms, one.from_ms + kept_ms),
                    "reason": one.reason,
                    "entered_at_ms": at_ms,
                }
                for one in told
            ]
            connection.execute(sa.insert(membership), rows)
            for one in told:
                if one.until_ms is None:
                    _write_tiers(connection, {customer_id: one.tier})

    def review(self, *, at_ms: int) -> int:
        """Lower all tiers that are not reached any more and need not be kept longer; gives how many."""
        vertical = self._context.vertical
        with self._context.acting("membership.review", at_ms=at_ms) as connection:
            due = connection.execute(
                sa.select(membership.c.customer_id).where(
                    membership.c.until_ms.is_(None),
                    membership.c.keep_until_ms <= at_ms,
                    membership.c.from_ms < at_ms,
                    membership.c.tier != vertical.tiers[0].name,
                )
            )
            held = _locked(connection, sorted(due.scalars()))
            ids = [row.customer_id for row in held]
            reached = _rows_of(vertical, _measured(connection, vertical, ids, at_ms)).tolist()
            lower = {
                row.customer_id: to
                for row, to in zip(held, reached, strict=True)
                if row.status == "active"
                and row.from_ms is not None
                and row.keep_until_ms <= at_ms
                and row.from_ms < at_ms
                and to < vertical.tier_row.get(row.tier, 0)
            }
            kept_ms = at_ms + vertical.membership.keep_days * MS_PER_DAY
            _change_in(connection, vertical, lower, at_ms, "reviewed", kept_ms)
            return len(lower)

    def counts(self, scope_id: int) -> dict[str, int]:
        """Count the active customers of a scope by tier."""
        lowest = self._context.vertical.tiers[0].name
        with self._context.looking("membership.counts", scope_id=scope_id) as connection:
            rows = connection.execute(
                sa.select(customer.c.tier, sa.func.count())
                .where(customer.c.scope_id == scope_id, customer.c.status == "active")
                .group_by(customer.c.tier)
            )
            found: Counter[str] = Counter()
            for tier, num in rows:
                found[tier or lowest] += int(num)
        return {tier.name: found[tier.name] for tier in self._context.vertical.tiers}


def progress_in(
    connection: sa.Connection,
    context: Context,
    customer_id: Sequence[int],
    at_ms: int,
    standing: Standings | None = None,
) -> int:
    """Raise the tiers of those customers (n,) who reach a higher one, after orders of theirs were completed.

    A tier that somebody set at a later instant stands. Gives how many rose; each is given the tier's coupon.
    `standing` is told where they are locked already.
    """
    vertical = context.vertical
    if not len(customer_id) or len(vertical.tiers) == 1:
        return 0
    if standing is None:
        standing = standing_in(connection, vertical, customer_id)
    told = {found for one in customer_id if (found := standing.get(one)) is not None}
    highest = len(vertical.tiers) - 1
    has = {one.customer_id: one.tier for one in told if one.is_active and one.tier < highest}
    ids = sorted(has)
    reached = _rows_of(vertical, _measured(connection, vertical, ids, at_ms)).tolist()
    target = {one: row for one, row in zip(ids, reached, strict=True) if row > has[one]}
    if not target:
        return 0
    risen = {
        row.customer_id: target[row.customer_id]
        for row in _locked(connection, sorted(target))
        if max(row.from_ms or 0, row.last_until_ms or 0) <= at_ms
    }
    kept_ms = at_ms + vertical.membership.keep_days * MS_PER_DAY
    _change_in(connection, vertical, risen, at_ms, "measured", kept_ms)
    _grant_coupons(connection, context, risen, at_ms)
    return len(risen)


def tiers_of(
    connection: sa.Connection, vertical: Vertical, customer_ids: Sequence[int] | NDArray[np.int64]
) -> NDArray[np.int64]:
    """Give rows (n,) of the vertical's tiers of customers (n,); 0 of those who are not known."""
    found = sa.select(customer.c.customer_id, customer.c.tier).where(
        bulk.among(connection, customer.c.customer_id, customer_ids), customer.c.tier.is_not(None)
    )
    row_of = {row[0]: vertical.tier_row.get(row[1], 0) for row in connection.execute(found)}
    return np.array([row_of.get(int(one), 0) for one in customer_ids], np.int64)


def periods_in(connection: sa.Connection, vertical: Vertical, customer_id: int) -> list[Period]:
    """Give all periods of a customer, oldest first; see :class:`Memberships` on those who were merged."""
    family = family_in(connection, current_in(connection, customer_id))
    return _highest(vertical, _periods(connection, family))


def measure_in(connection: sa.Connection, vertical: Vertical, customer_id: int, at_ms: int) -> int:
    """Give what a customer's tier is told by, of all names together, within the window that ends now."""
    return int(_measured(connection, vertical, [current_in(connection, customer_id)], at_ms)[0])


def merge_in(connection: sa.Connection, context: Context, from_id: int, into_id: int, at_ms: int) -> None:
    """End the membership of a customer who was merged into another one: the higher tier of both stays.

    What they did under both names counts together: a tier that it reaches is theirs at once, with its coupon.
    Of equal tiers the longer one to be kept stays.
    """
    vertical = context.vertical
    rows = {row.customer_id: row for row in _locked(connection, sorted((from_id, into_id)))}
    old, new = (rows[one] for one in (from_id, into_id))
    old_row, new_row = (vertical.tier_row.get(row.tier, 0) for row in (old, new))
    if old.from_ms is not None:
        _close(connection, [from_id], at_ms)
    when = max(at_ms, new.from_ms or 0, new.last_until_ms or 0)
    reached = int(_rows_of(vertical, _measured(connection, vertical, [into_id], when))[0])
    if reached > max(old_row, new_row):
        kept_ms = when + vertical.membership.keep_days * MS_PER_DAY
        _change_in(connection, vertical, {into_id: reached}, when, "measured", kept_ms)
        _grant_coupons(connection, context, {into_id: reached}, when)
    elif old_row > new_row:
        kept_ms = max(old.keep_until_ms or 0, when)
        _change_in(connection, vertical, {into_id: old_row}, when, "merged", kept_ms)
    elif old_row == new_row and old.from_ms is not None:
        mine = (membership.c.customer_id == into_id, membership.c.until_ms.is_(None))
        shorter = sa.update(membership).where(*mine, membership.c.keep_until_ms < old.keep_until_ms)
        connection.execute(shorter.values(keep_until_ms=old.keep_until_ms))


def _change_in(
    connection: sa.Connection,
    vertical: Vertical,
    to_row: Mapping[int, int],
    at_ms: int,
    reason: str,
    keep_until_ms: int,
) -> None:
    """End the open periods of locked customers and begin new ones, by rows of tiers; and announce them."""
    if not to_row:
        return
    ids = sorted(to_row)
    _close(connection, ids, at_ms)
    num, tiers = len(ids), [vertical.tiers[to_row[one]].name for one in ids]
    bulk.insert(
        connection,
        membership,
        {
            "customer_id": ids,
            "tier": tiers,
            "from_ms": [at_ms] * num,
            "keep_until_ms": [keep_until_ms] * num,
            "reason": [reason] * num,
            "entered_at_ms": [at_ms] * num,
        },
    )
    _write_tiers(connection, dict(zip(ids, tiers, strict=True)))
    data = [{"tier": tier, "reason": reason} for tier in tiers]
    announce_many_in(connection, "membership.changed", "customer", ids, at_ms, data)


def _close(connection: sa.Connection, ids: Sequence[int], at_ms: int) -> None:
    """End open periods; one that began at this very instant never was."""
    mine = sa.and_(membership.c.until_ms.is_(None), bulk.among(connection, membership.c.customer_id, ids))
    connection.execute(sa.delete(membership).where(mine, membership.c.from_ms >= at_ms))
    connection.execute(sa.update(membership).where(mine).values(until_ms=at_ms))


def _write_tiers(connection: sa.Connection, tiers: Mapping[int, str]) -> None:
    """Keep the tiers in force in the rows of customers, one statement for each tier."""
    for tier in sorted(set(tiers.values())):
        ids = [one for one, name in tiers.items() if name == tier]
        mine = bulk.among(connection, customer.c.customer_id, ids)
        connection.execute(sa.update(customer).where(mine).values(tier=tier))


def _grant_coupons(connection: sa.Connection, context: Context, risen: Mapping[int, int], at_ms: int) -> None:
    for row, tier in enumerate(context.vertical.tiers):
        ids = [one for one, to in risen.items() if to == row]
        if tier.coupon_cents and ids:
            coupons.grant_in(connection, context, ids, f"tier.{tier.name}", tier.coupon_cents, at_ms)


def _rows_of(vertical: Vertical, measure: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give rows of the tiers that measures (n,) reach."""
    thresholds = np.array([tier.at_least for tier in vertical.tiers], np.int64)
    return np.maximum(np.searchsorted(thresholds, measure, side="right") - 1, 0).astype(np.int64)


def counts_as_in(connection: sa.Connection, ids: Sequence[int]) -> dict[int, int]:
    """Give who counts as which of customers (n,): they themselves, and those who were merged into them.

    Orders and points keep the customer under whom they were made.
    """
    return {one: one for one in ids} | dict(_MERGED.rows(connection, ids=ids))


def _measured(
    connection: sa.Connection, vertical: Vertical, ids: Sequence[int], at_ms: int
) -> NDArray[np.int64]:
    """Give what tiers are told by, of customers (n,), within the window that ends now."""
    rule = vertical.membership
    if not len(ids):
        return np.zeros(0, np.int64)
    counts_as = counts_as_in(connection, ids)
    if rule.measure == "points":
        until, window = at_ms, rule.window_days * MS_PER_DAY
    else:
        until, window = at_ms // MS_PER_DAY, rule.window_days
    total = dict.fromkeys(ids, 0)
    measured = _SUMS[rule.measure].rows(connection, ids=list(counts_as), since=until - window, until=until)
    for one, num in measured:
        total[counts_as[one]] += int(num)
    return np.array([total[one] for one in ids], np.int64)


def _sum_of(
    owner: sa.ColumnElement[int], when: sa.ColumnElement[int], value: sa.ColumnElement[int], *where: Any
) -> bulk.Prepared:
    """Give the question for sums by owner, after an instant or day and until another one."""
    since, until = (sa.bindparam(name, type_=sa.BigInteger) for name in ("since", "until"))
    sums = sa.select(owner, sa.func.sum(value)).where(
        bulk.among_told(owner, "ids"), when > since, when <= until, *where
    )
    return bulk.Prepared(sums.group_by(owner))


_ENTRY, _DAY = points_entry.c, customer_day.c
MEASURES: Final[Mapping[str, tuple[Any, ...]]] = MappingProxyType(
    {
        "spend_cents": (_DAY.customer_id, _DAY.day, _DAY.spend_cents),
        "orders": (_DAY.customer_id, _DAY.day, _DAY.completed),
        "points": (
            _ENTRY.customer_id,
            _ENTRY.at_ms,
            _ENTRY.points,
            sa.or_(
                _ENTRY.kind == "earn",
                _ENTRY.kind == "grant",
                sa.and_(_ENTRY.kind == "rollback", _ENTRY.points < 0),
            ),
        ),
    }
)
"""What tiers are told by: whose it is, when (day or instant), how much, and which rows count."""
_SUMS: Final = {measure: _sum_of(*columns) for measure, columns in MEASURES.items()}
_MERGED: Final = bulk.Prepared(
    sa.select(customer.c.customer_id, customer.c.merged_into).where(
        bulk.among_told(customer.c.merged_into, "ids")
    )
)


def _locked(connection: sa.Connection, ids: Sequence[int]) -> Sequence[Any]:
    """Lock customers, ascending, and give their tiers and open periods, and when another one ended last."""
    if not ids:
        return []
    connection.execute(
        sa.select(customer.c.customer_id)
        .where(bulk.among(connection, customer.c.customer_id, ids))
        .order_by(customer.c.customer_id)
        .with_for_update()
    ).all()
    is_open = sa.and_(membership.c.customer_id == customer.c.customer_id, membership.c.until_ms.is_(None))
    columns = (customer.c.customer_id, customer.c.status, customer.c.tier)
    ended = membership.alias("ended")
    last = sa.select(sa.func.max(ended.c.until_ms)).where(ended.c.customer_id == customer.c.customer_id)
    last_until = last.scalar_subquery().label("last_until_ms")
    return connection.execute(
        sa.select(*columns, membership.c.from_ms, membership.c.keep_until_ms, last_until)
        .outerjoin(membership, is_open)
        .where(bulk.among(connection, customer.c.customer_id, ids))
        .order_by(customer.c.customer_id)
    ).all()


def _periods(connection: sa.Connection, customer_ids: Sequence[int]) -> list[Period]:
    """Give the periods that stand under ids (n,), oldest first."""
    rows = connection.execute(
        sa.select(*(membership.c[name] for name in Period.__dataclass_fields__))
        .where(bulk.among(connection, membership.c.customer_id, customer_ids))
        .order_by(membership.c.from_ms, membership.c.membership_id)
    )
    return [Period(*row) for row in rows]


def _highest(vertical: Vertical, periods: Sequence[Period]) -> list[Period]:
    """Give the highest tier at each instant of periods that may overlap; of equal ones that which goes on."""
    cuts = sorted({at_ms for one in periods for at_ms in (one.from_ms, one.until_ms) if at_ms is not None})
    found: list[Period] = []
    latest: Period | None = None
    for begin_ms, end_ms in zip(cuts, [*cuts[1:], None], strict=False):
        held = [
            one
            for one in periods
            if one.from_ms <= begin_ms and (one.until_ms is None or begin_ms < one.until_ms)
        ]
        best = max(held, key=lambda one: (vertical.tier_row.get(one.tier, 0), one is latest), default=None)
        if best is not None and best is latest:
            found[-1] = replace(found[-1], until_ms=end_ms)
        elif best is not None:
            found.append(replace(best, from_ms=begin_ms, until_ms=end_ms))
        latest = best
    return found


def _checked(vertical: Vertical, periods: Sequence[Period], at_ms: int) -> Sequence[Period]:
    if not periods:
        raise InputError("periods is empty: tell one at least")
    for row, one in enumerate(periods):
        vertical.tier(one.tier)
        check_name(f"periods[{row}].reason", one.reason)
        check_instant(f"periods[{row}].from_ms", one.from_ms)
        check_instant(f"periods[{row}].keep_until_ms", one.keep_until_ms)
        last_ms = one.from_ms if one.until_ms is None else one.until_ms
        check_instant(f"periods[{row}].until_ms", last_ms)
        if last_ms > at_ms or (one.until_ms is not None and one.until_ms <= one.from_ms):
            raise InputError(
                f"periods[{row}] is from {one.from_ms} until {one.until_ms}: it must end after it begins, "
                f"and not after now, {at_ms}"
            )
    return periods


def _check_apart(periods: Sequence[Period]) -> None:
    for before, after in pairwise(sorted(periods, key=lambda one: one.from_ms)):
        if before.until_ms is None or before.until_ms > after.from_ms:
            raise InputError(
                f"periods overlap: {before.tier} from {before.from_ms} until {before.until_ms}, "
                f"{after.tier} from {after.from_ms}"
            )
