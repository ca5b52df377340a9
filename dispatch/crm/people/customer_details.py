"""What is told of a customer: checked and brought to one form, one by one or many at once."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from dispatch.crm.people.phones import Phones
from dispatch.crm.rules import CustomFieldRule, check_letters, check_name
from dispatch.errors import InputError
from dispatch.store.chain import canonical

PLAIN: Final = ("language", "channel", "member_no", "birthday_mmdd")
SEALED: Final = ("name", "phone", "email", "custom")
INDEXED: Final = ("phone", "email")
FIELDS: Final = (*SEALED, *PLAIN)
LONGEST_NAME: Final = 200
_REPEATED: Final = ("language", "channel", "birthday_mmdd")
_LONGEST_EMAIL: Final = 254  # RFC 5321, a path
_EMAIL: Final = re.compile(r"[^\s@]{1,64}@[^\s@.]+(\.[^\s@.]+)+")
_MEMBER_NO: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_DAYS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True)
class CustomerDetails:
    """What is told of one customer; None is not told.

    Parameters
    ----------
    name, email : str, optional
    phone : str, optional
        As people write it; see the `region` of the action.
    birthday_mmdd : int, optional
        Month and day alone: 1231 is 31 December.
    language : str, optional
        ``en``, ``zh-CN``.
    channel : str, optional
        By which the customer was won.
    member_no : str, optional
        On a card: letters, digits, ``.``, ``_`` and ``-``.
    custom : mapping, optional
        Fields of the vertical's ``custom_fields``.
    """

    name: str | None = None
    phone: str | None = None
    email: str | None = None
    birthday_mmdd: int | None = None
    language: str | None = None
    channel: str | None = None
    member_no: str | None = None
    custom: Mapping[str, Any] | None = None

    @property
    def told(self) -> tuple[str, ...]:
        """Names of the fields that are told."""
        return tuple(name for name in FIELDS if getattr(self, name) is not None)

    def columns(self, rules: Sequence[CustomFieldRule], region: str) -> dict[str, Any]:
        """Give what is told, checked and in its one form, by the names of fields."""
        given = {name: [getattr(self, name)] for name in self.told}
        return {name: values[0] for name, values in normal_columns(given, rules, region, one=True).items()}


def normal_columns(
    columns: Mapping[str, Sequence[Any]], rules: Sequence[CustomFieldRule], region: str, one: bool = False
) -> dict[str, list[Any]]:
    """Check columns (n,) of many customers, by the names of fields, and bring them to their one form.

    Raises
    ------
    InputError
        A value breaks a rule: its field and row are named, what is personal is not repeated.
    """
    phones = Phones(region)
    known = {rule.name: rule for rule in rules}
    read: dict[str, Callable[[Any, str], Any]] = {
        "name": _name,
        "phone": phones.e164,
        "email": normal_email,
        "birthday_mmdd": _birthday,
        "language": _short,
        "channel": _short,
        "member_no": check_member_no,
        "custom": lambda value, field: _custom(value, field, known),
    }
    normal: dict[str, list[Any]] = {}
    for name, values in columns.items():
        if name not in read:
            raise InputError(f"columns has {name!r}: it must be one of {', '.join(read)}")
        if one:
            normal[name] = [read[name](values[0], name)]
        elif name == "phone":
            normal[name] = list(phones.e164_many(values))
        else:
            normal[name] = _each(read[name], values, name)
    return normal


def _each(read: Callable[[Any, str], Any], values: Iterable[Any], field: str) -> list[Any]:
    found: list[Any] = []
    # Few languages, channels and days stand in many rows; by type too, for True is not 1.
    known: dict[tuple[type, Any], Any] = {}
    for row, value in enumerate(values):
        if field in _REPEATED and isinstance(value, str | int):
            key = (type(value), value)
            if key not in known:
                known[key] = _each_of(read, value, field, row)
            found.append(known[key])
            continue
        found.append(_each_of(read, value, field, row))
    return found


def _each_of(read: Callable[[Any, str], Any], value: Any, field: str, row: int) -> Any:
    try:
        return None if value is None else read(value, field)
    except InputError as error:
        raise InputError(f"row {row}: {error}") from None


def normal_email(value: object, field: str = "email") -> str:
    """Give an address of mail in small letters; :class:`InputError`, without repeating it, if it is none."""
    if not isinstance(value, str):
        raise InputError(f"{field} is a {type(value).__name__}: it must be a text")
    text = value.strip().lower()
    if len(text) > _LONGEST_EMAIL or _EMAIL.fullmatch(text) is None:
        raise InputError(f"{field} is no address of mail: it must be like name@company.example")
    if not text.isascii():
        check_letters(field, text)
    return text


def check_text(value: object, field: str, longest: int = LONGEST_NAME, *, lines: bool = False) -> str:
    """Give a text of 1 to so many letters without blanks around it; it is not repeated in the error."""
    if not isinstance(value, str):
        raise InputError(f"{field} is a {type(value).__name__}: it must be a text")
    text = value.strip()
    if not 1 <= len(text) <= longest:
        raise InputError(f"{field} has {len(text)} letters: it must have 1 to {longest}")
    if not text.isprintable():  # blanks of other kinds are none of these, and are letters all the same
        check_letters(field, text, lines=lines)
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _name(value: object, field: str) -> str:
    return check_text(value, field)


def _birthday(value: object, field: str) -> int:
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    month, day = divmod(int(value), 100) if is_whole else (0, 0)  # type: ignore[call-overload]  # as was checked
    if not 1 <= month <= 12 or not 1 <= day <= _DAYS[month - 1]:
        raise InputError(f"{field} is no day of a year: 1231 is 31 December")
    return 100 * month + day


def _short(value: object, field: str) -> str:
    try:
        check_name(field, value)
    except InputError:
        # In a file whose columns were taken for others, a name or number stands here: it is not repeated.
        raise InputError(f"{field} is no name of letters, digits, _, - and .") from None
    return str(value)


def check_member_no(value: object, field: str = "member_no") -> str:
    """Give a member number; :class:`InputError`, without repeating it, if it is none."""
    if not isinstance(value, str) or _MEMBER_NO.fullmatch(value) is None:
        raise InputError(f"{field} is no member number: it must be 1 to 64 letters, digits, ., _ and -")
    return value


def _custom(value: object, field: str, rules: Mapping[str, CustomFieldRule]) -> str:
    """Give custom fields as JSON."""
    if not isinstance(value, Mapping):
        raise InputError(f"{field} is a {type(value).__name__}: it must be a mapping of fields")
    for name, told in value.items():
        if name not in rules:
            known = ", ".join(rules) or "none"
            raise InputError(f"{field} has the field {name!r}: the vertical's custom_fields are {known}")
        rules[name].check(told)
    return canonical(dict(value)).decode()
