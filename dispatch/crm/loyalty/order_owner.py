"""Whether a customer may use coupons, passes and points on an order: as far as the CRM knows the order.

An app may ask before the engine's event of the order is applied: it is not known then, and nothing is
refused. What another one had put on the order is given back when its owner asks, or once the order ends.

Everything here works on a connection of somebody else's transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import sqlalchemy as sa

from dispatch.crm.people.persons import current_among
from dispatch.crm.tables.loyalty import coupon, redemption
from dispatch.crm.tables.orders import orders, scope
from dispatch.crm.tables.people import customer
from dispatch.engine.lifecycle import FINAL_STATUSES, OrderStatus
from dispatch.errors import StateError
from dispatch.store import bulk

VAIN: Final = (OrderStatus.CANCELLED, OrderStatus.EXPIRED)
"""An order that came to nothing."""
OVER: Final = FINAL_STATUSES
"""An order that has ended, however it did."""
NOT_THEIRS: Final = ("order_of_another", "order_elsewhere")
"""Refusals of who has nothing to do with an order."""
_IN_WORDS: Final = {
    "order_of_another": "it is another customer's",
    "order_elsewhere": "it is of another place",
    "order_ended": "it has ended",
}
_THEIRS: Final = scope.alias("theirs")
_COUPONS: Final = scope.alias("coupons")


def refusal_in(
    connection: sa.Connection,
    customer_id: int,
    order_id: int,
    ended: Collection[OrderStatus],
    *,
    coupon_scope_id: int | None = None,
    locks: bool = True,
) -> str:
    """Tell why a customer may not use anything on an order: order_of_another, order_elsewhere, order_ended.

    Parameters
    ----------
    connection, customer_id, order_id
    ended : of OrderStatus
        Stages in which it is too late.
    coupon_scope_id : int, optional
        Whose place the order must be at; by default the customer's company's.
    locks : bool
        Let no event of the order be applied until the transaction ends: what is used on it now, the order's
        end must find. Ask before customers and coupons are locked, in which sequence those who apply lock.
    """
    wanted = sa.select(orders.c.customer_id, orders.c.scope_id, orders.c.stage).where(
        orders.c.order_id == order_id
    )
    row = connection.execute(wanted.with_for_update(read=True) if locks else wanted).one_or_none()
    if row is None:
        return ""
    if row.customer_id is not None and row.customer_id != customer_id:
        merged = current_among(connection, [row.customer_id, customer_id])
        if merged.get(row.customer_id, row.customer_id) != merged.get(customer_id, customer_id):
            return "order_of_another"
    if row.scope_id is not None and _is_elsewhere(connection, customer_id, row.scope_id, coupon_scope_id):
        return "order_elsewhere"
    return "order_ended" if row.stage in ended else ""


def check_in(
    connection: sa.Connection,
    customer_id: int,
    order_id: int,
    ended: Collection[OrderStatus],
    coupon_id: int | None = None,
) -> None:
    """Raise :class:`StateError` where a customer may use nothing on an order; see :func:`refusal_in`."""
    found = sa.select(coupon.c.scope_id).where(coupon.c.coupon_id == coupon_id)
    place = None if coupon_id is None else connection.scalar(found)
    refusal = refusal_in(connection, customer_id, order_id, ended, coupon_scope_id=place)
    if refusal:
        raise StateError(
            f"customer {customer_id} can use nothing on order {order_id}: {_IN_WORDS[refusal]} ({refusal})"
        )


def is_owner_in(connection: sa.Connection, customer_id: int, order_id: int) -> bool:
    """Tell whether an order is known to be a customer's."""
    owner = connection.scalar(sa.select(orders.c.customer_id).where(orders.c.order_id == order_id))
    if owner is None:
        return False
    merged = current_among(connection, [owner, customer_id])
    return bool(merged.get(owner, owner) == merged.get(customer_id, customer_id))


def not_due_in(connection: sa.Connection, redemption_ids: Sequence[int]) -> set[int]:
    """Give those of redemptions (n,) that are on orders of other customers, or at places they are not for."""
    rows = connection.execute(
        sa.select(
            redemption.c.redemption_id,
            redemption.c.customer_id,
            orders.c.customer_id.label("owner_id"),
            scope.c.tenant,
            scope.c.city,
            sa.func.coalesce(_COUPONS.c.tenant, _THEIRS.c.tenant).label("of_tenant"),
            sa.func.coalesce(_COUPONS.c.city, "").label("of_city"),
        )
        .join(orders, orders.c.order_id == redemption.c.order_id)
        .outerjoin(scope, scope.c.scope_id == orders.c.scope_id)
        .outerjoin(customer, customer.c.customer_id == redemption.c.customer_id)
        .outerjoin(_THEIRS, _THEIRS.c.scope_id == customer.c.scope_id)
        .outerjoin(coupon, coupon.c.coupon_id == redemption.c.coupon_id)
        .outerjoin(_COUPONS, _COUPONS.c.scope_id == coupon.c.scope_id)
        .where(bulk.among(connection, redemption.c.redemption_id, redemption_ids))
    ).all()
    others = others_in(connection, {row.redemption_id: (row.customer_id, row.owner_id) for row in rows})
    elsewhere = {
        row.redemption_id
        for row in rows
        if row.tenant is not None and (row.tenant != row.of_tenant or row.of_city not in ("", row.city))
    }
    return others | elsewhere


def others_in(connection: sa.Connection, users: Mapping[int, tuple[int, int | None]]) -> set[int]:
    """Give those keys (n,) whose user is another customer than the order's owner, where one is known."""
    told = {key: pair for key, pair in users.items() if pair[1] is not None and pair[0] != pair[1]}
    if not told:
        return set()
    merged = current_among(
        connection, sorted({int(one) for pair in told.values() for one in pair if one is not None})
    )
    return {
        key
        for key, (user, owner) in told.items()
        if merged.get(user, user) != merged.get(int(owner or 0), owner)
    }


def _is_elsewhere(
    connection: sa.Connection, customer_id: int, order_scope_id: int, coupon_scope_id: int | None
) -> bool:
    """Tell whether a place is not one that a coupon, or a customer's company, is for."""
    here = connection.execute(
        sa.select(scope.c.tenant, scope.c.city).where(scope.c.scope_id == order_scope_id)
    ).one()
    if coupon_scope_id is not None:
        of = sa.select(scope.c.tenant, scope.c.city).where(scope.c.scope_id == coupon_scope_id)
    else:
        of = (
            sa.select(scope.c.tenant, sa.literal("").label("city"))
            .join(customer, customer.c.scope_id == scope.c.scope_id)
            .where(customer.c.customer_id == customer_id)
        )
    theirs = connection.execute(of).one()
    return bool(here.tenant != theirs.tenant or theirs.city not in ("", here.city))
