"""Points, tiers and referrals that follow from orders that ended, in the sequence in which they did.

However many orders are told at once, what follows is what would follow from each by itself, one after
another: it earns by the tier that was held, may raise the tier, and rewards who won the customer; one that
came to nothing gives back the points that were redeemed on it, any one those that somebody else redeemed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from dispatch.crm.context import Context
from dispatch.crm.loyalty import ledger
from dispatch.crm.loyalty.climbing import Closes, Grant, Rise, Trips, climb_in, raise_in
from dispatch.crm.loyalty.order_owner import others_in
from dispatch.crm.loyalty.points import give_back_orders_in, redeemed_orders_in
from dispatch.crm.loyalty.referrals import REASON, settle_orders_in
from dispatch.crm.loyalty.standing import Standing, Standings
from dispatch.crm.vertical import Vertical
from dispatch.units import NO_VALUE


@dataclass(frozen=True)
class Ended:
    """Orders (n,) in the sequence in which they ended."""

    customer_id: Sequence[int]
    order_id: Sequence[int]
    cents: Sequence[int]
    at_ms: Sequence[int]
    place: Sequence[int]
    """(n,) ascending: of the event in what was told"""
    is_closed: Sequence[bool]
    """otherwise it came to nothing"""

    def chosen(self, rows: Sequence[int]) -> Ended:
        """Give some of them (m,)."""
        columns = (getattr(self, name) for name in Ended.__dataclass_fields__)
        return Ended(*([column[row] for row in rows] for column in columns))


def follow_in(
    connection: sa.Connection, context: Context, ended: Ended, trips: Trips, standing: Standings
) -> None:
    """Let points, tiers and referrals follow from orders that ended; of whom the CRM knows.

    Parameters
    ----------
    connection, context
    ended : Ended
    trips : Trips
        That ended in what was told.
    standing : mapping of int to Standing
        Of all customers of the orders whom the CRM knows, who are locked already.
    """
    closed = ended.chosen(
        [
            row
            for row, (one, is_closed) in enumerate(zip(ended.customer_id, ended.is_closed, strict=True))
            if is_closed and one in standing
        ]
    )
    gains, rises = _gained(connection, context, closed, trips, standing)
    # Points that come back pay debts and meet those that expire: each in its place among the gains.
    begin = 0
    for at, users in _given_back(connection, ended).items():
        place = ended.place[at]
        end = next((row for row in range(begin, len(gains)) if gains[row].place > place), len(gains))
        _enter(connection, context.vertical, gains[begin:end])
        give_back_orders_in(connection, context, [ended.order_id[at]], [ended.at_ms[at]], users)
        begin = end
    _enter(connection, context.vertical, gains[begin:])
    raise_in(connection, context, rises)


def _given_back(connection: sa.Connection, ended: Ended) -> dict[int, set[int]]:
    """Give the rows of orders on which points were redeemed in vain, and by whom; in their sequence."""
    redeemed = redeemed_orders_in(connection, ended.order_id)
    if not redeemed:
        return {}
    users = [(row, one) for row, order in enumerate(ended.order_id) for one in redeemed.get(order, ())]
    owner = [None if one == NO_VALUE else one for one in ended.customer_id]
    others = others_in(connection, {at: (one, owner[row]) for at, (row, one) in enumerate(users)})
    found: dict[int, set[int]] = {}
    for at, (row, one) in enumerate(users):
        if not ended.is_closed[row] or at in others:
            found.setdefault(row, set()).add(one)
    return found


class _Gain(NamedTuple):
    """An entry of the ledger to be; they sort by the sequence in which they are entered."""

    place: int
    turn: int
    """0: earned on the order; 1: granted to who won its customer"""
    owner: Standing
    points: int
    at_ms: int
    order_id: int | None
    reason: str | None = None
    key: str | None = None


def _gained(
    connection: sa.Connection, context: Context, closed: Ended, trips: Trips, standing: Standings
) -> tuple[list[_Gain], list[Rise]]:
    """Give what closed orders earn and reward, in its sequence, and who rises."""
    if not closed.order_id:
        return [], []
    vertical, told = context.vertical, (closed.customer_id, closed.order_id, closed.at_ms)
    owner = [standing[one] for one in closed.customer_id]
    closes = Closes(owner, closed.at_ms, closed.place)
    earnings = _earnings(connection, vertical, closed, owner)
    place_of = dict(zip(closed.order_id, closed.place, strict=True))
    rewards = [
        (place_of[one.order_id], one)
        for one in settle_orders_in(connection, context, *told, standing)
        if one.order_id is not None
    ]
    num = vertical.referral.referrer_points
    grants = [Grant(one.referrer.customer_id, num, one.at_ms, place) for place, one in rewards]
    tier, rises = climb_in(connection, vertical, closes, trips, grants, earnings)
    points = earnings[tier, np.arange(len(owner))].tolist()
    columns = (closed.place, owner, points, closed.at_ms, closed.order_id)
    gains = [
        _Gain(place, 0, one, gained, at_ms, order)
        for place, one, gained, at_ms, order in zip(*columns, strict=True)
        if gained
    ]
    gains += [
        _Gain(place, 1, one.referrer, num, one.at_ms, one.order_id, REASON, one.key) for place, one in rewards
    ]
    return sorted(gains, key=lambda gain: gain[:2]), rises


def _earnings(
    connection: sa.Connection, vertical: Vertical, closed: Ended, owner: Sequence[Standing]
) -> NDArray[np.int64]:
    """Give what closed orders (n,) earn by each tier, (tiers, n) int64; nothing if they did so before.

    Who is not active earns nothing.
    """
    num_tiers, num = len(vertical.tiers), len(closed.order_id)
    if not any(rule.on in ledger.OF_ORDERS for rule in vertical.earn):
        return np.zeros((num_tiers, num), np.int64)
    earned = ledger.earned_in(connection, closed.order_id)
    earns = np.array(
        [one.is_active and order not in earned for one, order in zip(owner, closed.order_id, strict=True)]
    )
    cents = np.array(closed.cents, np.int64)
    by_tier = [
        ledger.points_for(vertical, ledger.OF_ORDERS, cents, np.full(num, row)) for row in range(num_tiers)
    ]
    return np.where(earns, np.stack(by_tier), 0)


def _enter(connection: sa.Connection, vertical: Vertical, gains: Sequence[_Gain]) -> None:
    """Enter gains into the ledger, in their sequence."""
    if gains:
        _, turn, owner, points, at_ms, order_id, reason, key = zip(*gains, strict=True)
        kind = ["grant" if one else "earn" for one in turn]
        columns = (points, kind, at_ms, order_id, reason, key)
        ledger.gain_many_in(connection, vertical, ledger.Gains(owner, *columns))
