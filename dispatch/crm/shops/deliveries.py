"""Deliveries: which merchant prepares an order, what is in it, and when it is ready."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from dispatch.crm.context import Context, check_id, check_not_before
from dispatch.crm.rules import MOST_CENTS, check_name
from dispatch.crm.shops.merchants import merchant_in, offers_in
from dispatch.crm.tables.fleet import delivery, merchant
from dispatch.crm.tables.orders import orders
from dispatch.errors import InputError, StateError
from dispatch.limits import check_whole
from dispatch.store import bulk
from dispatch.units import MS_PER_DAY, NO_VALUE

MOST_ITEMS: Final = 200
LEARNT_FROM: Final = 50
"""So many latest deliveries of a merchant tell how late it usually is ..."""
LEARNT_DAYS: Final = 30
"""... if they are not older."""
PRIOR_DELIVERIES: Final = 10
"""So many that were ready as estimated stand beside a merchant's own. An assumption."""
ROUNDING: Final = 1e-9
"""Of shares."""


@dataclass(frozen=True)
class Item:
    """So many of one product, at so much each."""

    product: str
    count: int = 1
    cents: int | None = None
    """None: what the merchant's price is"""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_name("product", self.product)
        check_whole("count", self.count, 1, 1000)
        if self.cents is not None:
            check_whole("cents", self.cents, 0, MOST_CENTS)


@dataclass(frozen=True)
class Delivery:
    """An order that a merchant prepares."""

    order_id: int
    merchant_id: int
    customer_id: int | None
    placed_at_ms: int
    preparation_ms: int
    """as estimated when it was placed"""
    ready_at_ms: int | None
    items: tuple[Item, ...]
    cents: int
    cancelled_at_ms: int | None

    @property
    def expected_at_ms(self) -> int:
        """When it is, or was, to be ready for the driver."""
        return self.placed_at_ms + self.preparation_ms if self.ready_at_ms is None else self.ready_at_ms


@dataclass(frozen=True)
class Readiness:
    """When orders are ready; arrays (n,) int64."""

    order_id: NDArray[np.int64]
    ready_at_ms: NDArray[np.int64]
    """when it was, or is expected to be; ``NO_VALUE`` of what no merchant prepares"""
    preparation_ms: NDArray[np.int64]
    """as estimated, ``NO_VALUE`` likewise"""
    delay_ms: NDArray[np.int64]
    """how much later than estimated is usual for the merchant; less than 0: sooner"""
    is_cancelled: NDArray[np.bool_]
    """nothing will be ready"""


@dataclass(frozen=True)
class ItemSales:
    """What a merchant sold of a product."""

    product: str
    count: int
    cents: int


class Deliveries:
    """Places orders with merchants, and follows them until they are ready."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def place(
        self,
        order_id: int,
        merchant_id: int,
        items: Sequence[Item],
        *,
        at_ms: int,
        customer_id: int | None = None,
        preparation_ms: int | None = None,
    ) -> Delivery:
        """Place an order with a merchant, and enter it as the order's.

        Parameters
        ----------
        order_id : int
            The engine's; its events may come earlier or later.
        merchant_id : int
        items : (n,) of Item
        at_ms : int
        customer_id : int, optional
        preparation_ms : int, optional
            By default the merchant's own.

        Raises
        ------
        InputError
            An item is not sold, or the clock goes back behind its order.
        StateError
            The merchant is closed, an item is sold out, or the order is placed already.
        """
        check_id("order_id", order_id)
        if not 1 <= len(items) <= MOST_ITEMS:
            raise InputError(f"items has {len(items)} entries: 1 to {MOST_ITEMS}")
        if preparation_ms is not None:
            check_whole("preparation_ms", preparation_ms, 0, MS_PER_DAY)
        with self._context.acting("delivery.place", ("merchant", merchant_id), at_ms=at_ms) as connection:
            of = merchant_in(connection, merchant_id)
            if not of.is_open(at_ms):
                raise StateError(f"merchant {merchant_id} is closed at {at_ms}")
            priced = _priced(connection, merchant_id, items, at_ms)
            known = connection.execute(sa.select(orders).where(orders.c.order_id == order_id)).one_or_none()
            if known is not None:
                customer_id = _agreed(order_id, known.customer_id, customer_id)
                check_not_before("at_ms", at_ms, known.submitted_at_ms or 0, f"order {order_id}")
            placed = Delivery(
                order_id,
                merchant_id,
                customer_id,
                at_ms,
                of.preparation_ms if preparation_ms is None else preparation_ms,
                None,
                tuple(priced),
                sum(one.count * (one.cents or 0) for one in priced),
                None,
            )
            told = [{"product": one.product, "count": one.count, "cents": one.cents} for one in priced]
            connection.execute(sa.insert(delivery).values(**vars(placed) | {"items": told}))
            of_order: dict[str, Any] = {"order_id": [order_id], "merchant_id": [merchant_id]}
            if known is None:
                of_order |= {"scope_id": [of.scope_id], "customer_id": [customer_id]}
            bulk.upsert(connection, orders, of_order)
            return placed

    def ready(self, order_id: int, *, at_ms: int) -> None:
        """Note that an order is ready for the driver."""
        self._end(order_id, "delivery.ready", at_ms, "ready_at_ms")

    def cancel(self, order_id: int, *, at_ms: int) -> None:
        """Cancel an order that is not ready yet."""
        self._end(order_id, "delivery.cancel", at_ms, "cancelled_at_ms")

    def read(self, order_id: int) -> Delivery:
        """Give the delivery of an order."""
        with self._context.looking("delivery.read", ("order", order_id)) as connection:
            row = connection.execute(sa.select(delivery).where(delivery.c.order_id == order_id)).one_or_none()
            if row is None:
                raise InputError(f"order {order_id} is placed with no merchant")
            told = dict(row._mapping)
            return Delivery(**told | {"items": tuple(Item(**one) for one in row.items)})

    def sold(self, merchant_id: int, from_ms: int, until_ms: int) -> list[ItemSales]:
        """Sum up what a merchant sold within a window by product, the most money first."""
        check_not_before("until_ms", until_ms, from_ms, "from_ms")
        with self._context.looking("delivery.sales", ("merchant", merchant_id)) as connection:
            rows = connection.execute(
                sa.select(delivery.c["items"]).where(
                    delivery.c.merchant_id == merchant_id,
                    delivery.c.placed_at_ms >= from_ms,
                    delivery.c.placed_at_ms < until_ms,
                    delivery.c.cancelled_at_ms.is_(None),
                )
            ).scalars()
            count: dict[str, int] = {}
            cents: dict[str, int] = {}
            for items in rows:
                for one in items:
                    name = one["product"]
                    count[name] = count.get(name, 0) + one["count"]
                    cents[name] = cents.get(name, 0) + one["count"] * one["cents"]
        found = [ItemSales(name, count[name], cents[name]) for name in count]
        return sorted(found, key=lambda one: (-one.cents, one.product))

    def _end(self, order_id: int, action: str, at_ms: int, column: str) -> None:
        with self._context.acting(action, ("order", order_id), at_ms=at_ms) as connection:
            row = connection.execute(
                sa.select(delivery).where(delivery.c.order_id == order_id).with_for_update()
            ).one_or_none()
            if row is None:
                raise InputError(f"order {order_id} is placed with no merchant")
            check_not_before("at_ms", at_ms, row.placed_at_ms, "the order was placed")
            if row.ready_at_ms is not None or row.cancelled_at_ms is not None:
                raise StateError(f"order {order_id} is ready or cancelled already")
            connection.execute(
                sa.update(delivery).where(delivery.c.order_id == order_id).values({column: at_ms})
            )


def readiness_in(connection: sa.Connection, order_ids: Sequence[int], at_ms: int) -> Readiness:
    """Tell when orders (n,) are ready, as far as it can be known at an instant.

    An order that is not ready yet is expected once its preparation is over, as estimated, and so much later
    as is usual for its merchant; at once, where that has passed.

    Complexity
    ----------
    :data:`LEARNT_FROM` rows of each merchant are read.
    """
    ids, told = np.asarray(order_ids, dtype=np.int64), delivery.c
    found = bulk.fetch(
        connection,
        sa.select(
            told.order_id,
            told.merchant_id,
            told.placed_at_ms,
            told.preparation_ms,
            told.ready_at_ms,
            told.cancelled_at_ms,
        )
        .where(bulk.among(connection, told.order_id, ids))
        .order_by(told.order_id),
    )
    known, whose, placed_ms, preparation_ms, ready_ms, cancelled_ms = found
    merchants, at = np.unique(whose, return_inverse=True)
    late_ms = usual_delay_in(connection, merchants, at_ms)[at]
    expected_ms = np.maximum(placed_ms + preparation_ms + late_ms, at_ms)
    is_ready = (ready_ms != NO_VALUE) & (ready_ms <= at_ms)
    rows = np.stack([np.where(is_ready, ready_ms, expected_ms), preparation_ms, late_ms])
    columns = np.array([[NO_VALUE], [NO_VALUE], [0]], np.int64).repeat(len(ids), axis=1)
    is_cancelled = np.zeros(len(ids), np.bool_)
    row = np.searchsorted(known, ids)
    there = np.flatnonzero(row < len(known))
    there = there[known[row[there]] == ids[there]]
    columns[:, there] = rows[:, row[there]]
    is_cancelled[there] = cancelled_ms[row[there]] != NO_VALUE
    return Readiness(ids, columns[0], columns[1], columns[2], is_cancelled)


def usual_delay_in(connection: sa.Connection, merchants: NDArray[np.int64], at_ms: int) -> NDArray[np.int64]:
    """Give how much later than estimated merchants (n,) ascending have orders ready; less than 0: sooner.

    The median of their latest deliveries, where one that is not ready yet is as late as it is by now, or
    later (Kaplan and Meier 1958): a kitchen that is stuck is seen before anything comes out of it. It counts
    n / (n + :data:`PRIOR_DELIVERIES`) for n that were ready. One that was collected though nobody said that
    it was ready tells nothing.
    """
    whose, due_ms, ready_ms, collected_ms = bulk.fetch(connection, _latest(connection, merchants, at_ms))
    is_ready = (ready_ms != NO_VALUE) & (ready_ms <= at_ms)
    is_told = is_ready | (collected_ms == NO_VALUE) | (collected_ms > at_ms)
    delay_ms = np.where(is_ready, ready_ms, at_ms) - due_ms
    usual = np.zeros(len(merchants), np.int64)
    for row, one in enumerate(merchants.tolist()):
        mine = is_told & (whose == one)
        num = int(is_ready[mine].sum())
        if num:
            median = _median(delay_ms[mine], is_ready[mine])
            usual[row] = round(median * num / (num + PRIOR_DELIVERIES))
    return usual


def _latest(connection: sa.Connection, merchants: NDArray[np.int64], at_ms: int) -> sa.Select[Any]:
    """Ask for the latest deliveries of merchants (n,): merchant, due, ready and collected at."""
    table, since_ms = delivery.c, at_ms - LEARNT_DAYS * MS_PER_DAY
    earlier = delivery.alias("earlier").c
    first = (
        sa.select(earlier.placed_at_ms)
        .where(earlier.merchant_id == merchant.c.merchant_id, earlier.placed_at_ms <= at_ms)
        .order_by(earlier.placed_at_ms.desc())
        .limit(1)
        .offset(LEARNT_FROM - 1)
        .scalar_subquery()
    )
    of_each = sa.select(merchant.c.merchant_id, sa.func.coalesce(first, since_ms).label("first_ms")).where(
        bulk.among(connection, merchant.c.merchant_id, merchants)
    )
    # Or the first one would be looked for anew at each of the others.
    since = of_each.cte("since").prefix_with("MATERIALIZED")
    is_latest = sa.and_(
        table.merchant_id == since.c.merchant_id,
        table.placed_at_ms >= since.c.first_ms,
        table.placed_at_ms >= since_ms,
        table.placed_at_ms <= at_ms,
    )
    due_ms, collected_ms = table.placed_at_ms + table.preparation_ms, orders.c.picked_up_at_ms
    return (
        sa.select(table.merchant_id, due_ms, table.ready_at_ms, collected_ms)
        .select_from(since)
        .join(delivery, is_latest)
        .outerjoin(orders, orders.c.order_id == table.order_id)
        .where(table.cancelled_at_ms.is_(None))
    )


def _median(values: NDArray[np.int64], is_known: NDArray[np.bool_]) -> int:
    """Give the least value that at most half of all exceed; unknown ones (n,) are so large at least.

    The largest, where so many are unknown that half may exceed it.
    """
    by_value = np.lexsort((~is_known, values))
    values, is_known = values[by_value], is_known[by_value]
    share_above = np.cumprod(1 - is_known / np.arange(len(values), 0, -1))
    half = np.flatnonzero(share_above <= 0.5 + ROUNDING)
    return int(values[half[0]] if len(half) else values[-1])


def _priced(connection: sa.Connection, merchant_id: int, items: Sequence[Item], at_ms: int) -> list[Item]:
    """Give items with their prices; all must be sold, and there."""
    offers = {one.product: one for one in offers_in(connection, merchant_id, at_ms)}
    priced = []
    for one in items:
        offer = offers.get(one.product)
        if offer is None:
            raise InputError(f"items: merchant {merchant_id} sells no {one.product!r}")
        if not offer.available:
            raise StateError(f"items: {one.product!r} is sold out at merchant {merchant_id}")
        priced.append(Item(one.product, one.count, offer.cents if one.cents is None else one.cents))
    return priced


def _agreed(order_id: int, known: int | None, told: int | None) -> int | None:
    if None not in (known, told) and known != told:
        raise InputError(f"customer_id is {told}: order {order_id} is another customer's")
    return told if known is None else known
