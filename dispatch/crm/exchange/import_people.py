"""What is imported: customers or drivers. How each is checked, recognised, entered and changed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol

import sqlalchemy as sa

from dispatch.crm.context import Context
from dispatch.crm.fleet.drivers import DriverDetails
from dispatch.crm.people.customer_details import CustomerDetails, normal_columns
from dispatch.crm.people.customers import register_many_in
from dispatch.crm.people.persons import current_among
from dispatch.crm.people.phones import Phones
from dispatch.crm.tables.people import alias, customer, driver
from dispatch.crm.vault import seal_columns
from dispatch.errors import InputError
from dispatch.store import bulk

Columns = dict[str, list[Any]]
_MIDNIGHT: Final = r"(?:[T ]00:00(?::00(?:\.0+)?)?(?:Z|[+-]00:?00)?)?"
_DAYS: Final = tuple(
    re.compile(form, re.ASCII | re.IGNORECASE)
    for form in (
        rf"\d{{4}}([-/.])(?P<month>\d{{1,2}})\1(?P<day>\d{{1,2}}){_MIDNIGHT}",
        r"(?:--)?(?P<month>\d{2})-(?P<day>\d{2})",
        r"(?:\d{4}|--)?(?P<month>\d{2})(?P<day>\d{2})",
        r"(?P<month>\d)(?P<day>\d{2})",
        r"(?:\d{4}年)?(?P<month>\d{1,2})月(?P<day>\d{1,2})日",
        r"(?P<day>\d{1,2})[-. ]{0,2}(?P<name>[a-z]{3,9})\.?(?:[-, ]{1,2}(?:\d{4}|\d{2}))?",
        r"(?P<name>[a-z]{3,9})\.? (?P<day>\d{1,2}), ?\d{4}",
    )
)
"""Days that can be read in one way; the year is not kept. Spreadsheets make ``29-Feb`` of ``02-29``."""
_EITHER: Final = re.compile(r"\d{1,2}([-/. ])\d{1,2}(?:\1(?:\d{2}|\d{4})?)?(?:[T ].*)?", re.ASCII)
_TIMED: Final = re.compile(r"\d{4}-\d{2}-\d{2}[T ].+", re.ASCII)
_TWO_NAMES: Final = (
    "first_name+last_name", "firstname+lastname", "given_name+family_name", "forename+surname",
    "vorname+nachname",
)  # fmt: skip
_MONTHS: Final = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
    "november", "december",
)  # fmt: skip
_ROUNDED: Final = re.compile(r"\+?\d+(?:[.,]\d+)?[eE]\+?\d+")
"""A long number as spreadsheets show it: ``1.4155E+10``."""
_FRACTION: Final = re.compile(r"\+?\d+\.0")
"""A whole number as programs write it that have taken it for another one."""
_FLAGS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_IN_QUESTION: Final = 5_000
"""Values of one look-up; SQLite takes 32,766 at most."""


class People(Protocol):
    """Persons of one kind, in one place."""

    @property
    def scope_id(self) -> int:
        """The place."""

    @property
    def at_ms(self) -> int:
        """The instant of the import."""

    kind: ClassVar[str]
    usual: ClassVar[Mapping[str, tuple[str, ...]]]
    """fields, and what files call them"""
    keys: ClassVar[tuple[str, ...]]
    """fields that tell who somebody is, the surest first"""
    apart: ClassVar[tuple[str, ...]]
    """those that each has one of: who has another one is somebody else"""
    required: ClassVar[tuple[str, ...]]
    """fields that must be told of everybody"""
    plain: ClassVar[tuple[str, ...]]
    """fields that tell of nobody in particular"""

    def check(self, field: str, value: str) -> None:
        """Check a text of a field; :class:`InputError`, which does not repeat it, names the rule."""

    def read(self, columns: Columns) -> Columns:
        """Check many rows (n,) of texts, and bring them to their one form."""

    def known(self, connection: sa.Connection, key: str, values: Sequence[str]) -> dict[str, int]:
        """Find who of the place has one of many values (n,) of a key, by the value."""

    def told(self, connection: sa.Connection, persons: Sequence[int]) -> dict[int, tuple[str, ...]]:
        """Tell which of the fields that tell apart many persons (n,) have, by their ids."""

    def enter(self, connection: sa.Connection, columns: Columns) -> list[int]:
        """Enter new persons (n,); gives their ids."""

    def change(self, connection: sa.Connection, changes: Mapping[int, Mapping[str, Any]]) -> set[int]:
        """Change what is told of persons, by their ids; gives those who were."""


@dataclass(frozen=True)
class CustomerImport:
    """Customers of a place, whose phone numbers without a country code are of a region."""

    context: Context
    scope_id: int
    at_ms: int
    region: str

    kind: ClassVar[str] = "customer"
    usual: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "name": ("name", "full_name", "customer_name", *_TWO_NAMES, "customer", "姓名"),
        "phone": (
            "phone", "phone_number", "mobile", "mobile_number", "mobile_phone", "telephone", "tel", "cell",
            "手机", "手机号", "电话",
        ),
        "email": ("email", "e_mail", "email_address", "mail", "邮箱"),
        "member_no": (
            "member_no", "member_number", "membership_no", "card_no", "card_number", "会员号", "卡号",
        ),
        "channel": ("channel", "source", "acquisition_channel", "渠道"),
        "language": ("language", "lang", "locale"),
        "birthday_mmdd": ("birthday", "birthday_mmdd", "date_of_birth", "birth_date", "dob", "生日"),
    }  # fmt: skip
    keys: ClassVar[tuple[str, ...]] = ("member_no", "phone", "email")
    apart: ClassVar[tuple[str, ...]] = ("member_no", "phone")
    required: ClassVar[tuple[str, ...]] = ()
    plain: ClassVar[tuple[str, ...]] = ("channel", "language")

    def check(self, field: str, value: str) -> None:
        """Check a text of a field."""
        if field in self.apart:
            _check_number(field, value)
        given = {name: column[0] for name, column in self._converted({field: [value]}).items()}
        CustomerDetails(**given).columns(self.context.vertical.custom_fields, self.region)

    def read(self, columns: Columns) -> Columns:
        """Check many rows (n,) of texts, and bring them to their one form."""
        for value in columns.get("member_no", ()):
            if value is not None and value.endswith(".0"):
                _check_number("member_no", value)
        return normal_columns(self._converted(columns), self.context.vertical.custom_fields, self.region)

    def _converted(self, columns: Columns) -> Columns:
        """Give birthdays as numbers, and custom fields as one mapping a row."""
        told = {name: column for name, column in columns.items() if not name.startswith("custom.")}
        if "birthday_mmdd" in told:
            told["birthday_mmdd"] = [mmdd(value) for value in told["birthday_mmdd"]]
        if "phone" in told:
            told["phone"] = _phones(told["phone"])
        custom = {
            name.removeprefix("custom."): columns[name] for name in columns if name.startswith("custom.")
        }
        if custom:
            types = {rule.name: rule.type for rule in self.context.vertical.custom_fields}
            for name in custom:
                custom[name] = [_custom(value, name, types.get(name, "text")) for value in custom[name]]
            rows = zip(*custom.values(), strict=True)
            given = [
                {name: value for name, value in zip(custom, row, strict=True) if value is not None}
                for row in rows
            ]
            told["custom"] = [one or None for one in given]
        return told

    def known(self, connection: sa.Connection, key: str, values: Sequence[str]) -> dict[str, int]:
        """Find who of the place has one of many values (n,) of a key: aliases count, merged ones do not."""
        if key == "member_no":
            return _matching(
                connection, customer.c.member_no, {value: value for value in values}, customer, self.scope_id
            )
        ring = self.context.vault.keyring
        own = dict(zip(ring.find_by_many(f"customer.{key}", values), values, strict=True))
        other = dict(zip(ring.find_by_many(f"alias.{key}", values), values, strict=True))
        found = _matching(connection, alias.c.value_index, other, alias, self.scope_id, alias.c.kind == key)
        return found | _matching(connection, customer.c[f"{key}_index"], own, customer, self.scope_id)

    def told(self, connection: sa.Connection, persons: Sequence[int]) -> dict[int, tuple[str, ...]]:
        """Tell of many customers (n,) whether they have a member number and a telephone number."""
        rows = connection.execute(
            sa.select(
                customer.c.customer_id,
                customer.c.member_no.is_not(None).label("member_no"),
                customer.c.phone_index.is_not(None).label("phone"),
            ).where(bulk.among(connection, customer.c.customer_id, list(persons)))
        ).mappings()
        return {row["customer_id"]: tuple(key for key in self.apart if row[key]) for row in rows}

    def enter(self, connection: sa.Connection, columns: Columns) -> list[int]:
        """Enter new customers (n,); gives their ids."""
        given = {name: column for name, column in columns.items() if name != "custom"}
        if "custom" in columns:
            given["custom"] = [None if value is None else json.loads(value) for value in columns["custom"]]
        return register_many_in(connection, self.context, given, self.scope_id, self.at_ms, self.region)

    def change(self, connection: sa.Connection, changes: Mapping[int, Mapping[str, Any]]) -> set[int]:
        """Change what is told of customers, by their ids; those restricted stay as they are."""
        return _change(
            connection, self.context, customer, changes, self.at_ms,
            sealed=("name", "phone", "email", "custom"), indexed=("phone", "email"),
        )  # fmt: skip


@dataclass(frozen=True)
class DriverImport:
    """Drivers of a place, whose phone numbers without a country code are of a region."""

    context: Context
    scope_id: int
    at_ms: int
    region: str

    kind: ClassVar[str] = "driver"
    usual: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "name": ("name", "full_name", "driver_name", *_TWO_NAMES, "driver", "姓名"),
        "phone": CustomerImport.usual["phone"],
        "address": ("address", "home_address", "地址"),
        "birthday_mmdd": CustomerImport.usual["birthday_mmdd"],
    }
    keys: ClassVar[tuple[str, ...]] = ("phone",)
    apart: ClassVar[tuple[str, ...]] = ()
    required: ClassVar[tuple[str, ...]] = ("name",)
    plain: ClassVar[tuple[str, ...]] = ()

    def check(self, field: str, value: str) -> None:
        """Check a text of a field."""
        if field == "phone":
            _check_number(field, value)
        self.read({field: [value]})

    def read(self, columns: Columns) -> Columns:
        """Check many rows (n,) of texts, and bring them to their one form."""
        told = dict(columns)
        if "phone" in told:
            phones = Phones(self.region)
            told["phone"] = [value and phones.e164(value) for value in _phones(told["phone"])]
        if "birthday_mmdd" in told:
            told["birthday_mmdd"] = [mmdd(value) for value in told["birthday_mmdd"]]
        rows = [
            DriverDetails(**dict(zip(told, row, strict=True))) for row in zip(*told.values(), strict=True)
        ]
        return {name: [getattr(row, name) for row in rows] for name in columns}

    def known(self, connection: sa.Connection, key: str, values: Sequence[str]) -> dict[str, int]:
        """Find who of the place has one of many phone numbers (n,)."""
        ring = self.context.vault.keyring
        own = dict(zip(ring.find_by_many(f"driver.{key}", values), values, strict=True))
        return _matching(connection, driver.c[f"{key}_index"], own, driver, self.scope_id)

    def told(self, connection: sa.Connection, persons: Sequence[int]) -> dict[int, tuple[str, ...]]:  # noqa: ARG002 - as of customers
        """Tell nothing: drivers are known by their telephone numbers alone."""
        return {}

    def enter(self, connection: sa.Connection, columns: Columns) -> list[int]:
        """Enter new drivers (n,); gives their ids."""
        num = len(next(iter(columns.values())))
        ids = bulk.take_ids(connection, driver.c.driver_id, num)
        keys = self.context.vault.give_keys(connection, "driver", ids)
        sealed = seal_columns(
            keys, "driver", {name: columns[name] for name in ("name", "phone", "address") if name in columns}
        )
        plain = {name: columns[name] for name in ("birthday_mmdd",) if name in columns}
        phones = self.context.vault.keyring.find_by_many("driver.phone", columns["phone"])
        same = {"scope_id": self.scope_id, "created_at_ms": self.at_ms, "changed_at_ms": self.at_ms}
        rows = {"driver_id": ids} | {name: [value] * num for name, value in same.items()}
        bulk.insert(connection, driver, rows | plain | sealed | {"phone_index": phones})
        return ids

    def change(self, connection: sa.Connection, changes: Mapping[int, Mapping[str, Any]]) -> set[int]:
        """Change what is told of drivers, by their ids; those who have left stay as they are."""
        return _change(
            connection, self.context, driver, changes, self.at_ms,
            sealed=("name", "phone", "address"), indexed=("phone",),
        )  # fmt: skip


def mmdd(text: str | None) -> int | None:
    """Read a birthday, ``1990-12-31``, ``12-31`` or ``1231``, as month and day; the year is not kept.

    Other forms are read where they can be read in one way only: ``31 Dec 1990`` is, ``05.06.1990`` is not.
    """
    if text is None:
        return None
    for form in _DAYS:
        found = form.fullmatch(text)
        if found is None:
            continue
        told = found.groupdict()
        month = _month(told["name"]) if "name" in told else int(told["month"])
        return 100 * month + int(told["day"])
    if _EITHER.fullmatch(text) is not None:
        raise InputError("birthday_mmdd may be day or month first: it must be like 1990-12-31 or 12-31")
    if _TIMED.fullmatch(text) is not None:
        raise InputError("birthday_mmdd has a time of day, in some zone: it must be the day alone")
    raise InputError("birthday_mmdd is no day: it must be like 1990-12-31, 12-31 or 1231")


def _month(name: str) -> int:
    """Give the number of a month by its name or the beginning of it; 0 for none."""
    fits = [month for month, whole in enumerate(_MONTHS, 1) if whole.startswith(name.lower())]
    return fits[0] if len(fits) == 1 else 0


def _phones(texts: Sequence[str | None]) -> list[str | None]:
    """Give telephone numbers without the ``.0`` of programs that took them for fractions."""
    return [
        text[:-2] if text is not None and text.endswith(".0") and _FRACTION.fullmatch(text) else text
        for text in texts
    ]


def _check_number(field: str, text: str) -> None:
    """Refuse numbers of which a spreadsheet or program has made others."""
    if _ROUNDED.fullmatch(text) is not None:
        raise InputError(
            f"{field} is a rounded number, as spreadsheets show long ones: its digits are lost; make the "
            "column one of texts there"
        )
    if field == "member_no" and _FRACTION.fullmatch(text) is not None:
        raise InputError(f"{field} ends with .0: some program took it for a number; it must be a text there")


def _custom(value: str | None, name: str, kind: str) -> Any:
    """Read a custom field of its type; the vertical's own check follows."""
    if value is None or kind == "text":
        return value
    if kind == "flag":
        if value.lower() not in _FLAGS:
            raise InputError(f"custom.{name} is no flag: it must be yes or no")
        return _FLAGS[value.lower()]
    try:
        return int(value)
    except ValueError:
        raise InputError(f"custom.{name} is no whole number") from None


def _matching(
    connection: sa.Connection,
    column: sa.ColumnElement[Any],
    values: Mapping[Any, str],
    table: sa.Table,
    scope_id: int,
    also: sa.ColumnElement[bool] | None = None,
) -> dict[str, int]:
    """Find rows of a place by many values of a column; gives persons by what the values stand for."""
    person = table.c.driver_id if table is driver else table.c.customer_id
    found: dict[str, int] = {}
    sought = list(values)
    for first in range(0, len(sought), _IN_QUESTION):
        some = sought[first : first + _IN_QUESTION]
        query = sa.select(column, person).where(table.c.scope_id == scope_id, column.in_(some))
        rows = connection.execute(query if also is None else query.where(also))
        found |= {values[bytes(told) if isinstance(told, memoryview) else told]: one for told, one in rows}
    if table is driver or not found:
        return found
    now = current_among(connection, found.values())
    return {value: now.get(one, one) for value, one in found.items()}


def _change(
    connection: sa.Connection,
    context: Context,
    table: sa.Table,
    changes: Mapping[int, Mapping[str, Any]],
    at_ms: int,
    *,
    sealed: tuple[str, ...],
    indexed: tuple[str, ...],
) -> set[int]:
    kind, person = table.name, table.c[f"{table.name}_id"]
    active = list(
        connection.scalars(
            sa.select(person)
            .where(bulk.among(connection, person, list(changes)), table.c.status == "active")
            .order_by(person)
            .with_for_update()
        )
    )
    if not active:
        return set()
    found = context.vault.keys(connection, kind, active)
    found |= context.vault.give_keys(connection, kind, [one for one in active if one not in found])
    keys = {one: found[one] for one in active}
    names = sorted({name for one in active for name in changes[one]})
    told = {name: [changes[one].get(name) for one in active] for name in names}
    columns: dict[str, Any] = {name: values for name, values in told.items() if name not in sealed}
    columns |= seal_columns(keys, kind, {name: told[name] for name in sealed if name in told})
    ring = context.vault.keyring
    columns |= {
        f"{name}_index": ring.find_by_many(f"{kind}.{name}", told[name]) for name in indexed if name in told
    }
    # What the file does not tell of somebody stays as it is.
    values = {
        name: sa.func.coalesce(sa.bindparam(f"told_{name}", type_=table.c[name].type), table.c[name])
        for name in columns
    }
    later = sa.case((table.c.changed_at_ms > at_ms, table.c.changed_at_ms), else_=at_ms)
    connection.execute(
        sa.update(table)
        .where(person == sa.bindparam("told_person"))
        .values(**values, changed_at_ms=later, version=table.c.version + 1),
        [
            {"told_person": one} | {f"told_{name}": columns[name][row] for name in columns}
            for row, one in enumerate(active)
        ],
    )
    return set(active)
