"""Campaigns: an audience, a trigger, an offer, and a random holdout that shows what it really did.

"Discounts build no loyalty" and "send coupons" are both said; here each campaign answers for itself: some of
those whom it reaches are held out by a hash, get nothing, and are compared with the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from dispatch.crm.context import Context, check_id, check_instant
from dispatch.crm.engagement.features import features_in, rows_of
from dispatch.crm.engagement.proportions import Estimate, difference, share
from dispatch.crm.engagement.segment_rules import SegmentRule
from dispatch.crm.engagement.segments import members_in, segment_in
from dispatch.crm.engagement.wishes import days_of_birthday
from dispatch.crm.loyalty import coupons
from dispatch.crm.outbox import announce_many_in
from dispatch.crm.people.consents import agreeing_in
from dispatch.crm.people.persons import current_among
from dispatch.crm.rules import LONGEST_DAYS, MOST_CENTS, check_name, check_one_of
from dispatch.crm.tables.engagement import campaign, campaign_member
from dispatch.crm.tables.fleet import energy_purchase
from dispatch.crm.tables.loyalty import coupon
from dispatch.crm.tables.orders import orders
from dispatch.crm.tables.people import customer
from dispatch.crm.tables.service import complaint
from dispatch.errors import InputError, StateError
from dispatch.limits import check_whole
from dispatch.store import bulk
from dispatch.units import MS_PER_DAY

TRIGGERS: Final = ("start", "completed_order", "first_order", "unused", "birthday")
MARKETING: Final = "marketing"
"""The consent without which nobody is in a campaign, not even held out."""
_PERMILLE: Final = 1000


@dataclass(frozen=True)
class CampaignPlan:
    """What a campaign does for whom.

    Parameters
    ----------
    template : str
        Of the message.
    begin_at_ms, end_at_ms : int
        Customers join within.
    rule : SegmentRule
        The audience: a tier's members, who referred others, whom a rule finds; judged when somebody joins.
    segment_id : int
        The audience is a segment's, as its rule is then; 0: `rule` tells.
    trigger : str
        ``start``: at once; ``completed_order`` or ``first_order`` within the window; ``unused`` for
        `trigger_days`; ``birthday``.
    trigger_days : int
    coupon_cents : int
        A coupon of so much for each; 0: none.
    coupon_id : int
        A code of this coupon for each; 0: none.
    holdout_permille : int
        Of the audience, get nothing.
    """

    template: str
    begin_at_ms: int
    end_at_ms: int
    rule: SegmentRule = field(default_factory=SegmentRule)
    segment_id: int = 0
    trigger: str = "start"
    trigger_days: int = 30
    coupon_cents: int = 0
    coupon_id: int = 0
    holdout_permille: int = 100

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_name("template", self.template)
        check_instant("begin_at_ms", self.begin_at_ms)
        check_instant("end_at_ms", self.end_at_ms)
        if self.begin_at_ms >= self.end_at_ms:
            raise InputError(
                f"end_at_ms is {self.end_at_ms}: it must be after begin_at_ms, {self.begin_at_ms}"
            )
        check_id("segment_id", self.segment_id)
        if self.segment_id and self.rule != SegmentRule():
            raise InputError("rule is told beside segment_id: the audience is one of them")
        check_one_of("trigger", self.trigger, TRIGGERS)
        check_whole("trigger_days", self.trigger_days, 1, LONGEST_DAYS)
        check_whole("coupon_cents", self.coupon_cents, 0, MOST_CENTS)
        check_id("coupon_id", self.coupon_id)
        if self.coupon_cents and self.coupon_id:
            raise InputError("coupon_cents is told beside coupon_id: the offer is one of them")
        check_whole("holdout_permille", self.holdout_permille, 0, 900)


@dataclass(frozen=True)
class Campaign:
    """A campaign, and where it stands."""

    campaign_id: int
    scope_id: int
    name: str
    status: str
    """draft, live or ended"""
    plan: CampaignPlan


@dataclass(frozen=True)
class Joined:
    """What a run of campaigns did."""

    treated: int = 0
    held_out: int = 0
    waiting: int = 0
    """of the audience, with an open complaint: first they are served"""


@dataclass(frozen=True)
class Effect:
    """Who ordered again, treated against held out; intervals of 95 %."""

    days: int
    treated: int
    """members whose time is over"""
    treated_repeated: int
    holdout: int
    holdout_repeated: int
    treated_rate: Estimate
    holdout_rate: Estimate
    difference: Estimate
    """of the rates: what the campaign itself did"""

    @property
    def incremental(self) -> Estimate:
        """Customers who ordered again because of it."""
        by = self.treated
        return Estimate(self.difference.value * by, self.difference.low * by, self.difference.high * by)

    @property
    def is_shown(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.difference.low > 0 or self.difference.high < 0


class Campaigns:
    """Makes campaigns, runs them, and measures what they did."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def create(self, scope_id: int, name: str, plan: CampaignPlan, at_ms: int) -> int:
        """Draft a campaign; gives its id.

        Raises
        ------
        StateError
            There is one of that name.
        """
        check_name("name", name)
        plan.rule.check_tiers(self._context.vertical)
        with self._context.acting("campaign.define", at_ms=at_ms, scope_id=scope_id) as connection:
            self._check_places(connection, plan, scope_id)
            added = sa.insert(campaign).values(
                scope_id=scope_id,
                name=name,
                status="draft",
                plan=_plan_table(plan),
                begin_at_ms=plan.begin_at_ms,
                end_at_ms=plan.end_at_ms,
                holdout_permille=plan.holdout_permille,
                created_at_ms=at_ms,
            )
            return int(connection.execute(added).inserted_primary_key[0])  # type: ignore[index]  # one row

    def activate(self, campaign_id: int, at_ms: int) -> None:
        """Let a draft go live; nothing of it changes any more."""
        target = ("campaign", campaign_id)
        with self._context.acting("campaign.activate", target, at_ms=at_ms) as connection:
            found = campaign_in(connection, campaign_id, locks=True)
            if found.status != "draft":
                raise StateError(f"campaign {campaign_id} is {found.status}: only a draft can be activated")
            if at_ms >= found.plan.end_at_ms:
                raise StateError(f"campaign {campaign_id} was to end at {found.plan.end_at_ms}: it is over")
            _set_in(connection, campaign_id, status="live", activated_at_ms=at_ms)

    def end(self, campaign_id: int, at_ms: int) -> None:
        """End a live campaign before its time; nobody joins any more."""
        target = ("campaign", campaign_id)
        with self._context.acting("campaign.activate", target, at_ms=at_ms) as connection:
            found = campaign_in(connection, campaign_id, locks=True)
            if found.status != "live":
                raise StateError(f"campaign {campaign_id} is {found.status}: only a live one can be ended")
            _set_in(connection, campaign_id, status="ended", ended_at_ms=at_ms)

    def read(self, campaign_id: int) -> Campaign:
        """Give a campaign."""
        with self._context.looking("campaign.read", ("campaign", campaign_id)) as connection:
            return campaign_in(connection, campaign_id)

    def listed(self, scope_id: int) -> list[Campaign]:
        """Give all campaigns of a scope, oldest first."""
        with self._context.looking("campaign.read", scope_id=scope_id) as connection:
            rows = connection.execute(
                sa.select(campaign).where(campaign.c.scope_id == scope_id).order_by(campaign.c.campaign_id)
            )
            return [_campaign(row) for row in rows]

    def run(self, at_ms: int) -> dict[int, Joined]:
        """Let customers join the live campaigns, each at most once; give what came of it by campaign.

        Of the audience those join whom the trigger meets, who consented to marketing and who have no open
        complaint: whose trouble is not settled is not sent an offer. Again, or late, it does no harm. A
        campaign whose window is over ends.
        """
        joined: dict[int, Joined] = {}
        with self._context.acting("campaign.run", at_ms=at_ms) as connection:
            live = connection.execute(
                sa.select(campaign)
                .where(campaign.c.status == "live", campaign.c.begin_at_ms <= at_ms)
                .order_by(campaign.c.campaign_id)
                .with_for_update()
            ).all()
            for row in live:
                if row.end_at_ms <= at_ms:
                    _set_in(connection, row.campaign_id, status="ended", ended_at_ms=row.end_at_ms)
                else:
                    joined[row.campaign_id] = self._join_in(connection, _campaign(row), at_ms)
        return joined

    def effect(self, campaign_id: int, days: int, at_ms: int, after_days: int = 0) -> Effect:
        """Compare how many ordered again, treated and held out.

        Parameters
        ----------
        campaign_id : int
        days : int
            Counted are members who joined at least so long ago, and orders completed within.
        at_ms : int
        after_days : int
            Counted are orders after so many days only: whether customers stay once the coupon is spent.
        """
        check_instant("at_ms", at_ms)
        check_whole("days", days, 1, LONGEST_DAYS)
        check_whole("after_days", after_days, 0, days - 1)
        with self._context.looking("campaign.read", ("campaign", campaign_id)) as connection:
            told = _repeats_in(connection, campaign_id, days, after_days, at_ms)
        num = {arm: (len(again), sum(again)) for arm, again in told.items()}
        (treated, treated_again), (held, held_again) = num["treated"], num["holdout"]
        return Effect(
            days,
            treated,
            treated_again,
            held,
            held_again,
            share(treated_again, treated),
            share(held_again, held),
            difference(treated_again, treated, held_again, held),
        )

    def _check_places(self, connection: sa.Connection, plan: CampaignPlan, scope_id: int) -> None:
        """Refuse a segment or coupon of another place."""
        if plan.segment_id and segment_in(connection, plan.segment_id).scope_id != scope_id:
            raise InputError(f"segment_id is {plan.segment_id}: it is of another scope")
        offered = sa.select(coupon.c.scope_id).where(coupon.c.coupon_id == plan.coupon_id)
        if plan.coupon_id and connection.execute(offered).scalar_one_or_none() != scope_id:
            raise InputError(f"coupon_id is {plan.coupon_id}: there is none of it in this scope")

    def _join_in(self, connection: sa.Connection, found: Campaign, at_ms: int) -> Joined:
        plan, vertical = found.plan, self._context.vertical
        rule = segment_in(connection, plan.segment_id).rule if plan.segment_id else plan.rule
        audience, _ = members_in(connection, vertical, found.scope_id, rule, at_ms)
        audience = audience[np.isin(audience, self._triggered_in(connection, found, at_ms))]
        known = sa.select(campaign_member.c.customer_id).where(
            campaign_member.c.campaign_id == found.campaign_id
        )
        known_ids = set(connection.execute(known).scalars())
        # Who was a member before a merge is one: held out, they must not be treated under the other name.
        known_ids |= set(current_among(connection, known_ids).values())
        fresh = [one for one in audience.tolist() if one not in known_ids]
        allowed = agreeing_in(connection, MARKETING, fresh)
        fresh = [one for one in fresh if one in allowed]
        troubled = open_complaints_in(connection, fresh)
        joining = [one for one in fresh if one not in troubled]
        held = [is_held_out(found.campaign_id, one, plan.holdout_permille) for one in joining]
        num = len(joining)
        bulk.insert(
            connection,
            campaign_member,
            {
                "campaign_id": [found.campaign_id] * num,
                "customer_id": joining,
                "arm": ["holdout" if one else "treated" for one in held],
                "joined_at_ms": [at_ms] * num,
            },
        )
        treated = [one for one, is_held in zip(joining, held, strict=True) if not is_held]
        self._treat_in(connection, found, treated, at_ms)
        return Joined(len(treated), num - len(treated), len(troubled))

    def _treat_in(
        self, connection: sa.Connection, found: Campaign, customer_ids: list[int], at_ms: int
    ) -> None:
        plan = found.plan
        if not customer_ids:
            return
        if plan.coupon_cents:
            name = f"campaign.{found.campaign_id}"
            coupons.grant_in(connection, self._context, customer_ids, name, plan.coupon_cents, at_ms)
        if plan.coupon_id:
            coupons.issue_in(connection, self._context, plan.coupon_id, customer_ids, at_ms)
        announce_many_in(
            connection,
            "campaign.message",
            "customer",
            customer_ids,
            at_ms,
            {"campaign_id": found.campaign_id, "template": plan.template},
            found.scope_id,
        )

    def _triggered_in(self, connection: sa.Connection, found: Campaign, at_ms: int) -> NDArray[np.int64]:
        """Give ids of customers (n,) of the scope whom the campaign's trigger meets."""
        plan, day = found.plan, at_ms // MS_PER_DAY
        features = features_in(connection, self._context.vertical, found.scope_id, day, 1)
        ids, first_day = features.customer_id, plan.begin_at_ms // MS_PER_DAY
        if plan.trigger == "completed_order":
            return ids[rows_with_orders_in(connection, ids, plan.begin_at_ms, at_ms)]
        if plan.trigger == "first_order":
            ordered = rows_with_orders_in(connection, ids, plan.begin_at_ms, at_ms)
            return ids[ordered & (features.first_day >= first_day)]
        if plan.trigger == "unused":
            return ids[(features.last_day >= 0) & (features.recency_days >= plan.trigger_days)]
        if plan.trigger == "birthday":
            wanted = days_of_birthday(first_day, day)
            rows = connection.execute(
                sa.select(customer.c.customer_id).where(
                    customer.c.scope_id == found.scope_id, customer.c.birthday_mmdd.in_(sorted(wanted))
                )
            )
            return np.array(rows.scalars().all(), np.int64)
        return ids


def is_held_out(campaign_id: int, customer_id: int, permille: int) -> bool:
    """Tell whether a campaign leaves a customer out: by SHA-256 of both, the same whenever it is asked."""
    digest = hashlib.sha256(f"holdout/{campaign_id}/{customer_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % _PERMILLE < permille


def open_complaints_in(connection: sa.Connection, customer_ids: Iterable[int]) -> set[int]:
    """Give those of customers (n,) who have a complaint that is not resolved."""
    rows = connection.execute(
        sa.select(complaint.c.customer_id).where(
            complaint.c.state != "resolved",
            bulk.among(connection, complaint.c.customer_id, list(customer_ids)),
        )
    )
    return set(rows.scalars())


def campaign_in(connection: sa.Connection, campaign_id: int, locks: bool = False) -> Campaign:
    """Read a campaign; :class:`InputError` if there is none."""
    wanted = sa.select(campaign).where(campaign.c.campaign_id == campaign_id)
    row = connection.execute(wanted.with_for_update() if locks else wanted).one_or_none()
    if row is None:
        raise InputError(f"campaign is {campaign_id}: there is none")
    return _campaign(row)


def rows_with_orders_in(
    connection: sa.Connection, customer_ids: NDArray[np.int64], from_ms: int, until_ms: int
) -> NDArray[np.bool_]:
    """Tell of customers (n,), ascending, who completed an order between two instants, both included."""
    ordered = np.array(sorted({row[0] for row in _completed_in(connection, from_ms, until_ms)}), np.int64)
    merged = current_among(connection, ordered.tolist())
    row = rows_of(customer_ids, np.array([merged.get(one, one) for one in ordered.tolist()], np.int64))
    has = np.zeros(len(customer_ids), bool)
    has[row[row >= 0]] = True
    return has


def _completed_in(connection: sa.Connection, from_ms: int, until_ms: int) -> list[tuple[int, int]]:
    """Give who completed an order, or bought energy, between two instants, both included; and when."""
    order, bought = orders.c, energy_purchase.c
    found: list[tuple[int, int]] = []
    for who, at in ((order.customer_id, order.dropped_off_at_ms), (bought.customer_id, bought.at_ms)):
        rows = connection.execute(
            sa.select(who, at).where(at >= from_ms, at <= until_ms, who.is_not(None)).order_by(at)
        )
        found += [(row[0], row[1]) for row in rows]
    return found


def _repeats_in(
    connection: sa.Connection, campaign_id: int, days: int, after_days: int, at_ms: int
) -> dict[str, list[bool]]:
    """Tell by arm of each member whose time is over whether it ordered again."""
    member = campaign_member.c
    rows = connection.execute(
        sa.select(member.customer_id, member.arm, member.joined_at_ms)
        .where(member.campaign_id == campaign_id, member.joined_at_ms <= at_ms - days * MS_PER_DAY)
        .order_by(member.joined_at_ms, member.customer_id)
    ).all()
    told: dict[str, list[bool]] = {"treated": [], "holdout": []}
    if not rows:
        return told
    first_ms, last_ms = rows[0].joined_at_ms, rows[-1].joined_at_ms
    completed = _completed_in(connection, first_ms + 1, last_ms + days * MS_PER_DAY)
    merged = current_among(connection, {row[0] for row in (*rows, *completed)})
    ordered: dict[int, list[int]] = {}
    for customer_id, dropped_ms in completed:
        ordered.setdefault(merged.get(customer_id, customer_id), []).append(dropped_ms)
    seen: set[int] = set()
    for row in rows:
        who = merged.get(row.customer_id, row.customer_id)
        # Two members who turned out to be one person count once, as the one who joined first.
        if who in seen:
            continue
        seen.add(who)
        after_ms, until_ms = row.joined_at_ms + after_days * MS_PER_DAY, row.joined_at_ms + days * MS_PER_DAY
        told[row.arm].append(any(after_ms < one <= until_ms for one in ordered.get(who, ())))
    return told


def _set_in(connection: sa.Connection, campaign_id: int, **values: Any) -> None:
    connection.execute(sa.update(campaign).where(campaign.c.campaign_id == campaign_id).values(**values))


def _plan_table(plan: CampaignPlan) -> dict[str, Any]:
    return {**vars(plan), "rule": plan.rule.as_table()}


def _campaign(row: sa.Row[Any]) -> Campaign:
    told = {**row.plan, "rule": SegmentRule.from_table(row.plan["rule"])}
    plan = replace(CampaignPlan(row.plan["template"], row.begin_at_ms, row.end_at_ms), **told)
    return Campaign(row.campaign_id, row.scope_id, row.name, row.status, plan)
