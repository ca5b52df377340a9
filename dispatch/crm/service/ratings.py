"""Ratings, 1 to 5 stars: customers rate drivers and merchants, drivers rate customers, once an order each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from dispatch.crm.context import Context, check_instant
from dispatch.crm.fleet.corrections import add_to_days_in
from dispatch.crm.people.sealed_texts import check_text, keep_text
from dispatch.crm.rules import check_one_of
from dispatch.crm.tables.orders import orders
from dispatch.crm.tables.service import rating
from dispatch.errors import InputError, StateError
from dispatch.limits import check_whole
from dispatch.store import bulk
from dispatch.units import MS_PER_DAY

ABOUT: Final = ("driver", "merchant", "customer")
_LONGEST_COMMENT: Final = 2000
_ORDER: Final = ("order_id", "scope_id", "customer_id", "driver_id", "merchant_id", "dropped_off_at_ms")


@dataclass(frozen=True)
class RatingSummary:
    """What somebody is rated with; ratings that an appeal took out do not count."""

    num: int
    mean: float | None
    by_stars: tuple[int, int, int, int, int]


class Ratings:
    """Takes ratings and sums them up."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def rate(self, order_id: int, about: str, stars: int, *, at_ms: int, comment: str | None = None) -> int:
        """Rate one side of a finished order; gives the rating's id.

        Parameters
        ----------
        order_id : int
        about : str
            Who is rated: ``driver`` and ``merchant`` by the customer, ``customer`` by the driver.
        stars : int
            1 … 5.
        at_ms : int
        comment : str, optional
            Sealed under the key of who rates.

        Raises
        ------
        InputError
            The order is not known, has no such side, or nobody was dropped off.
        StateError
            It was rated before.
        """
        check_one_of("about", about, ABOUT)
        check_whole("stars", stars, 1, 5)
        if comment is not None:
            check_text("comment", comment, _LONGEST_COMMENT)
        with self._context.acting(f"rating.{about}", ("order", order_id), at_ms=at_ms) as connection:
            told = rate_in(connection, about, [order_id], [stars], [at_ms])
            made = connection.execute(
                sa.select(rating.c.rating_id).where(rating.c.order_id == order_id, rating.c.about == about)
            ).scalar_one()
            rater = "driver" if about == "customer" else "customer"
            if comment is not None:
                person = (rater, int(told[f"{rater}_id"][0]))
                keep_text(connection, self._context.vault, person, rating.c.comment, made, comment)
            return int(made)

    def rate_many(
        self, about: str, order_ids: Sequence[int], stars: Sequence[int], *, at_ms: Sequence[int]
    ) -> int:
        """Take ratings (n,) without comments, all or none, as :meth:`rate` does; gives how many."""
        check_one_of("about", about, ABOUT)
        ids, given, instants = ([int(one) for one in told] for told in (order_ids, stars, at_ms))
        if not len(ids) == len(given) == len(instants):
            raise InputError(
                f"order_ids, stars, at_ms have {len(ids)}, {len(given)}, {len(instants)} entries: "
                "they must have as many"
            )
        for one in given:
            check_whole("stars", one, 1, 5)
        for one in instants:
            check_instant("at_ms", one)
        if not ids:
            return 0
        with self._context.acting("rating.many", at_ms=max(instants)) as connection:
            rate_in(connection, about, ids, given, instants)
        return len(ids)

    def of_driver(self, driver_id: int, *, from_ms: int = 0) -> RatingSummary:
        """Sum up what a driver was rated with since an instant; the driver may ask, no single one shows."""
        check_instant("from_ms", from_ms)
        with self._context.looking("rating.read", ("driver", driver_id)) as connection:
            return _summary(connection, rating.c.driver_id == driver_id, "driver", from_ms)

    def of_merchant(self, merchant_id: int, *, from_ms: int = 0) -> RatingSummary:
        """Sum up what a merchant was rated with since an instant."""
        check_instant("from_ms", from_ms)
        with self._context.looking("rating.read", ("merchant", merchant_id)) as connection:
            return _summary(connection, rating.c.merchant_id == merchant_id, "merchant", from_ms)

    def of_customer(self, customer_id: int, *, from_ms: int = 0) -> RatingSummary:
        """Sum up what drivers rated a customer with since an instant."""
        check_instant("from_ms", from_ms)
        with self._context.looking("rating.read", ("customer", customer_id)) as connection:
            return _summary(connection, rating.c.customer_id == customer_id, "customer", from_ms)


def rate_in(
    connection: sa.Connection,
    about: str,
    order_ids: Sequence[int],
    stars: Sequence[int],
    at_ms: Sequence[int],
) -> dict[str, NDArray[np.int64]]:
    """Take ratings (n,) on a connection, and give the persons and places of their orders, (n,) each."""
    of = _orders(connection, order_ids)
    rated, ended = of[f"{about}_id"], of["dropped_off_at_ms"]
    for missing, why in ((ended < 0, "nobody was dropped off"), (rated < 0, f"it has no {about}")):
        if missing.any():
            raise InputError(f"order {of['order_id'][missing][0]} cannot be rated: {why}")
    early = np.asarray(at_ms, np.int64) < ended
    if early.any():
        row = int(early.argmax())
        raise InputError(
            f"at_ms is {at_ms[row]}: time goes backwards, order {order_ids[row]} ended at {ended[row]}"
        )
    twice = sa.select(rating.c.order_id).where(
        rating.c.about == about, bulk.among(connection, rating.c.order_id, order_ids)
    )
    again = connection.execute(twice.limit(1)).scalar_one_or_none()
    if again is None and len(set(order_ids)) < len(order_ids):
        again = next(one for place, one in enumerate(order_ids) if one in order_ids[:place])
    if again is not None:
        raise StateError(f"order {again} has a rating of its {about} already")
    days = (ended // MS_PER_DAY).tolist()
    persons = {
        name: [None if one < 0 else one for one in of[name].tolist()]
        for name in ("scope_id", "customer_id", "driver_id", "merchant_id")
    }
    told: dict[str, Any] = {"order_id": order_ids, "about": [about] * len(days), "stars": stars, "day": days}
    bulk.insert(connection, rating, told | persons | {"at_ms": at_ms})
    if about == "driver":
        ones = [1] * len(days)
        add_to_days_in(connection, of["driver_id"].tolist(), days, ratings=ones, stars=stars)
    return of


def _orders(connection: sa.Connection, order_ids: Sequence[int]) -> dict[str, NDArray[np.int64]]:
    """Give what ratings need of orders (n,); :class:`InputError` for one that is not known."""
    asked = np.asarray(order_ids, dtype=np.int64)
    wanted = sa.select(*(orders.c[name] for name in _ORDER)).where(
        bulk.among(connection, orders.c.order_id, asked)
    )
    found = bulk.fetch(connection, wanted.order_by(orders.c.order_id))
    row = np.searchsorted(found[0], asked)
    known = row < found.shape[1]
    known[known] = found[0][row[known]] == asked[known]
    if not known.all():
        raise InputError(f"order {asked[~known][0]} is not known")
    return dict(zip(_ORDER, found[:, row], strict=True))


def _summary(
    connection: sa.Connection, which: sa.ColumnElement[bool], about: str, from_ms: int
) -> RatingSummary:
    rows = connection.execute(
        sa.select(rating.c.stars, sa.func.count())
        .where(which, rating.c.about == about, rating.c.removed_at_ms.is_(None), rating.c.at_ms >= from_ms)
        .group_by(rating.c.stars)
    )
    counted = dict.fromkeys(range(1, 6), 0) | {int(stars): int(num) for stars, num in rows}
    num = sum(counted.values())
    total = sum(stars * count for stars, count in counted.items())
    return RatingSummary(num, total / num if num else None, tuple(counted.values()))  # type: ignore[arg-type]  # of five
