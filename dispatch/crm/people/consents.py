"""Consents: what customers agreed to, append-only; the latest word on a purpose counts, none at all is no."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from dispatch.crm.context import Context, check_instant, check_not_before
from dispatch.crm.people.persons import locked_in
from dispatch.crm.rules import check_name, check_one_of
from dispatch.crm.tables.people import consent, customer
from dispatch.errors import InputError, StateError
from dispatch.store import bulk


@dataclass(frozen=True)
class Consent:
    """One word on a purpose."""

    consent_id: int
    purpose: str
    granted: bool
    at_ms: int
    source: str
    terms_version: str | None


class Consents:
    """Records and reads what customers agreed to."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def record(
        self,
        customer_id: int,
        purpose: str,
        granted: bool,
        *,
        at_ms: int,
        source: str,
        terms_version: str | None = None,
    ) -> int:
        """Record that a customer agrees to a purpose, or does not any more; gives the id of the entry.

        Parameters
        ----------
        customer_id : int
        purpose : str
            One of the vertical's: ``marketing``, ``profiling``, ``location``, ``survey``, and its own.
        granted : bool
        at_ms : int
        source : str
            How it was told: ``app``, ``phone``.
        terms_version : str, optional
            Of the text that was agreed to.

        Raises
        ------
        StateError
            The customer is merged, restricted or erased; what is restricted can only be refused.
        """
        check_name("purpose", purpose)
        check_name("source", source)
        if not isinstance(granted, bool):
            raise InputError(f"granted is {granted!r}: it must be true or false")
        if terms_version is not None and not (
            isinstance(terms_version, str) and 1 <= len(terms_version) <= 64 and terms_version.isprintable()
        ):
            raise InputError(f"terms_version is {terms_version!r}: it must be a text of at most 64 letters")
        noted = {"purpose": purpose, "granted": granted}
        with self._context.acting(
            "consent.record", ("customer", customer_id), at_ms=at_ms, details=noted
        ) as connection:
            check_one_of("purpose", purpose, self._context.vertical.purposes)
            row = locked_in(connection, "customer", customer_id, ("active", "restricted"))
            if granted and row.status == "restricted":
                raise StateError(f"customer {customer_id} is restricted: nothing can be agreed to any more")
            latest = connection.scalar(
                sa.select(sa.func.max(consent.c.at_ms)).where(
                    consent.c.customer_id == customer_id, consent.c.purpose == purpose
                )
            )
            check_not_before("at_ms", at_ms, latest or 0, f"the last word on {purpose}")
            (consent_id,) = record_in(
                connection, [customer_id], [purpose], granted, at_ms, source, terms_version
            )
        return consent_id

    def of(self, customer_id: int) -> dict[str, bool]:
        """Give what counts now, by purpose; a purpose that is not there is not agreed to."""
        with self._context.looking("consent.read", ("customer", customer_id)) as connection:
            return latest_in(connection, [customer_id])[customer_id]

    def history(self, customer_id: int) -> list[Consent]:
        """Give every word of a customer, the oldest first."""
        with self._context.looking("consent.read", ("customer", customer_id)) as connection:
            rows = connection.execute(
                sa.select(consent)
                .where(consent.c.customer_id == customer_id)
                .order_by(consent.c.at_ms, consent.c.consent_id)
            )
            return [
                Consent(row.consent_id, row.purpose, row.granted, row.at_ms, row.source, row.terms_version)
                for row in rows
            ]


def record_in(
    connection: sa.Connection,
    customer_ids: Sequence[int],
    purposes: Sequence[str],
    granted: bool,
    at_ms: int,
    source: str,
    terms_version: str | None = None,
) -> list[int]:
    """Record words (n,) of customers, all yes or all no; gives their ids."""
    check_instant("at_ms", at_ms)
    num = len(customer_ids)
    ids = bulk.take_ids(connection, consent.c.consent_id, num) if num else []
    same = {"granted": granted, "at_ms": at_ms, "source": source, "terms_version": terms_version}
    bulk.insert(
        connection,
        consent,
        {"consent_id": ids, "customer_id": list(customer_ids), "purpose": list(purposes)}
        | {name: [value] * num for name, value in same.items()},
    )
    return ids


def latest_in(connection: sa.Connection, customer_ids: Iterable[int]) -> dict[int, dict[str, bool]]:
    """Give what counts now of many customers (n,), by id and purpose."""
    ids = list(customer_ids)
    found: dict[int, dict[str, bool]] = {one: {} for one in ids}
    rows = connection.execute(
        sa.select(consent.c.customer_id, consent.c.purpose, consent.c.granted)
        .where(bulk.among(connection, consent.c.customer_id, ids))
        .order_by(consent.c.at_ms, consent.c.consent_id)
    )
    for customer_id, purpose, granted in rows:
        found[customer_id][purpose] = granted
    return found


def agreeing_in(connection: sa.Connection, purpose: str, customer_ids: Iterable[int]) -> set[int]:
    """Give those of many customers (n,) who agree to a purpose now, and may be dealt with at all."""
    ids = list(customer_ids)
    active = set(
        connection.scalars(
            sa.select(customer.c.customer_id).where(
                bulk.among(connection, customer.c.customer_id, ids), customer.c.status == "active"
            )
        )
    )
    place = sa.func.row_number().over(
        partition_by=consent.c.customer_id, order_by=(consent.c.at_ms.desc(), consent.c.consent_id.desc())
    )
    words = (
        sa.select(consent.c.customer_id, consent.c.granted, place.label("place"))
        .where(consent.c.purpose == purpose, bulk.among(connection, consent.c.customer_id, ids))
        .subquery()
    )
    agreed = connection.scalars(
        sa.select(words.c.customer_id).where(words.c.place == 1, words.c.granted.is_(True))
    )
    return active & set(agreed)
