"""Money of drivers beside fares: an append-only ledger of rewards, penalties and adjustments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from dispatch.crm.context import Context
from dispatch.crm.people.idempotency import check_key
from dispatch.crm.people.persons import locked_in
from dispatch.crm.rules import MOST_CENTS, check_name, check_one_of
from dispatch.crm.tables.fleet import incentive
from dispatch.errors import InputError, StateError
from dispatch.limits import check_whole

KINDS: Final = ("reward", "penalty", "adjustment")


@dataclass(frozen=True)
class Incentive:
    """An entry of the ledger; `cents` are negative where the driver lost them."""

    incentive_id: int
    kind: str
    cents: int
    reason: str
    key: str
    at_ms: int
    made_by: str


class Incentives:
    """Adds to the ledger and reads it; nothing is ever changed or removed."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def add(self, driver_id: int, kind: str, cents: int, *, reason: str, key: str, at_ms: int) -> int:
        """Add an entry, once a key; gives its id, that of the first call where the key was told before.

        Parameters
        ----------
        driver_id : int
        kind : str
            ``reward``, ``penalty`` or ``adjustment``.
        cents : int
            Above 0; an adjustment may be negative. A penalty is told as what it takes, 500, not −500.
        reason : str
            A name, such as ``peak_hour``.
        key : str
            The caller's own name of the entry; nothing personal, for it stays whoever is erased.

        Raises
        ------
        StateError
            The key was told before, with other values.
        """
        check_one_of("kind", kind, KINDS)
        check_whole("cents", cents, -MOST_CENTS if kind == "adjustment" else 1, MOST_CENTS)
        if cents == 0:
            raise InputError("cents is 0: an entry changes something")
        check_name("reason", reason)
        check_key("key", key)
        signed = -int(cents) if kind == "penalty" else int(cents)
        with self._context.acting(
            "incentive.add",
            ("driver", driver_id),
            at_ms=at_ms,
            details={"kind": kind, "cents": signed, "reason": reason},
        ) as connection:
            locked_in(connection, "driver", driver_id, None)
            known = connection.execute(
                sa.select(incentive).where(incentive.c.driver_id == driver_id, incentive.c.key == key)
            ).one_or_none()
            if known is not None:
                if (known.kind, known.cents, known.reason) != (kind, signed, reason):
                    raise StateError(
                        f"key {key!r} of driver {driver_id} is that of a {known.kind} of {known.cents} cents"
                    )
                return int(known.incentive_id)
            added = connection.execute(
                sa.insert(incentive).values(
                    driver_id=driver_id,
                    kind=kind,
                    cents=signed,
                    reason=reason,
                    key=key,
                    at_ms=at_ms,
                    made_by=self._context.actor.name,
                )
            )
            return int(added.inserted_primary_key[0])  # type: ignore[index]  # one row was inserted

    def entries(self, driver_id: int) -> list[Incentive]:
        """Give all entries of a driver, the earliest first."""
        with self._context.looking("incentive.read", ("driver", driver_id)) as connection:
            rows = connection.execute(
                sa.select(incentive)
                .where(incentive.c.driver_id == driver_id)
                .order_by(incentive.c.incentive_id)
            )
            return [
                Incentive(row.incentive_id, row.kind, row.cents, row.reason, row.key, row.at_ms, row.made_by)
                for row in rows
            ]

    def balance(self, driver_id: int) -> int:
        """Give the sum of a driver's entries, in cents."""
        with self._context.looking("incentive.read", ("driver", driver_id)) as connection:
            total = sa.select(sa.func.coalesce(sa.func.sum(incentive.c.cents), 0))
            return int(connection.execute(total.where(incentive.c.driver_id == driver_id)).scalar_one())
