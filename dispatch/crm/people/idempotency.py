"""Requests that may be sent twice: the same key gives the same answer, and does nothing again."""

from __future__ import annotations

import hmac
import re
import unicodedata
from typing import Any, Final

import sqlalchemy as sa

from dispatch.crm.context import Context
from dispatch.crm.tables.people import idempotency
from dispatch.errors import InputError
from dispatch.store.chain import canonical
from dispatch.units import MS_PER_DAY

KEPT_MS: Final = 2 * MS_PER_DAY
"""Integrators rely on a day."""


LONGEST_KEY: Final = 255
_PERSONAL: Final = re.compile(r"@|\+[ ().-]*[0-9](?:[ ().-]*[0-9]){6}")
"""An address of mail, or a telephone number with its country code."""


def check_key(field: str, key: object) -> None:
    """Raise :class:`InputError` unless `key` is a text of 1 to 255 printable letters, and nothing personal.

    Keys stay as they are told, in ledgers that are never changed: erasing a person would leave a telephone
    number or an address of mail in them. These are refused, not kept as a keyed hash: the entries that are
    there already could not be changed, and whoever sends a key can name a person by the id. Digits alone may
    be an order's number as well, and pass. Names that others give: :func:`kept_name`.
    """
    if _is_personal(check_name_given(field, key)):
        raise InputError(
            f"{field} holds a telephone number or an address of mail, which would outlast the erasure of "
            "whose it is: it must be made of ids and the like, such as gift:customer-17"
        )


def check_name_given(field: str, key: object) -> str:
    """Give a name that somebody else gave; :class:`InputError` unless it has 1 to 255 printable letters."""
    if not isinstance(key, str) or not 1 <= len(key) <= LONGEST_KEY or not key.isprintable():
        raise InputError(f"{field} must be a text of 1 to {LONGEST_KEY} printable letters")
    return key


def kept_name(context: Context, field: str, key: str) -> str:
    """Give a name that somebody else gave, as it is kept.

    Mail is named like ``<17@mail.example>``, calls by who called: these cannot be refused, and a keyed hash
    of them is kept.
    """
    return f"#{context.vault.find_by(field, key).hex()}" if _is_personal(key) else key


def _is_personal(key: str) -> bool:
    return _PERSONAL.search(unicodedata.normalize("NFKC", key)) is not None


def answered_in(
    connection: sa.Connection, context: Context, key: str | None, action: str, parameters: Any, at_ms: int
) -> Any:
    """Give the answer that an earlier request with this key got; None where it is the first one.

    The first one takes the key at once: another that comes at the same time fails as a whole, and finds the
    answer when it is sent again. Keys of other companies are other keys.

    Parameters
    ----------
    connection, context
    key : str, optional
        None: a request of its own.
    action : str
    parameters
        JSON; a keyed hash of it is kept, for they may be personal.
    at_ms : int

    Raises
    ------
    InputError
        The key was used with other parameters.
    """
    if key is None:
        return None
    check_key("key", key)
    kept, digest = _kept(context, key), _digest(context, action, parameters)
    row = connection.execute(
        sa.select(idempotency).where(idempotency.c.key == kept, idempotency.c.at_ms > at_ms - KEPT_MS)
    ).one_or_none()
    if row is not None:
        if row.action != action or not hmac.compare_digest(row.digest, digest):
            raise InputError("key was used before for a request with other parameters: take a new one")
        return row.answer
    # Only what is too old: a row that was committed since the look above must meet the insertion below.
    old = sa.delete(idempotency).where(idempotency.c.key == kept, idempotency.c.at_ms <= at_ms - KEPT_MS)
    connection.execute(old)
    connection.execute(sa.insert(idempotency).values(key=kept, action=action, digest=digest, at_ms=at_ms))
    return None


def keep_answer_in(
    connection: sa.Connection, context: Context, key: str | None, answer: Any, customer_id: int | None = None
) -> None:
    """Keep the answer of a request, JSON without anything personal, and whom it was about."""
    if key is not None:
        connection.execute(
            sa.update(idempotency)
            .where(idempotency.c.key == _kept(context, key))
            .values(answer=answer, customer_id=customer_id)
        )


def forget_in(connection: sa.Connection, at_ms: int) -> int:
    """Delete what is older than it must be kept; gives how many."""
    return connection.execute(sa.delete(idempotency).where(idempotency.c.at_ms <= at_ms - KEPT_MS)).rowcount


def _kept(context: Context, key: str) -> str:
    tenant = context.actor.tenant
    return f"{len(tenant)}/{tenant}/{key}"


def _digest(context: Context, action: str, parameters: Any) -> bytes:
    return context.vault.find_by("idempotency", f"{action}\0{canonical(parameters).decode()}")
