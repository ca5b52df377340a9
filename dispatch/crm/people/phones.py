"""Telephone numbers in one form, E.164: by the library ``phonenumbers``, and faster for what is plain.

The library takes 25 to 50 µs a number. Of many, where one is of digits and separators alone and can be read
in one way only, its own patterns, compiled once a country, say the same in 3 µs; all else is left to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

from dispatch.errors import InputError

_PLAIN: Final = re.compile(r"[+(]?[0-9][0-9 ().-]{4,23}")
_SEPARATORS: Final = str.maketrans("", "", " ().-+")
_TYPES: Final = (
    "premium_rate", "toll_free", "shared_cost", "voip", "personal_number", "pager", "uan", "voicemail",
    "fixed_line", "mobile",
)  # fmt: skip


class Phones:
    """Reads numbers as they are written in a region, and refuses what is none; numbers are not repeated.

    Parameters
    ----------
    region : str
        ISO 3166 code of the country whose numbers may be without their country code: ``US``; empty: all must
        have one.

    Raises
    ------
    InputError
        There is no such region.
    """

    def __init__(self, region: str = "") -> None:
        if region:
            check_region(region)
        self.region = region
        self._countries: dict[int | str, _Country] = {}
        """by their code, and the own one by its name: compiled once they are met among many"""

    def e164(self, text: object, field: str = "phone") -> str:
        """Give a number as ``+14155550123``; :class:`InputError` if it is none, or none that exists."""
        if not isinstance(text, str):
            raise InputError(f"{field} is a {type(text).__name__}: it must be a text")
        found = by_library(text, self.region)
        if found is None:
            where = f"of {self.region}, or with its country code" if self.region else "with its country code"
            raise InputError(f"{field} is no telephone number that exists: it must be one {where}")
        return found

    def e164_many(self, texts: Iterable[str | None], field: str = "phone") -> list[str | None]:
        """Give many numbers (n,), None for None; the row of one that is none is named, from 0."""
        found: list[str | None] = []
        for row, text in enumerate(texts):
            quick = self._quick(text) if isinstance(text, str) else None
            found.append(quick if quick or text is None else self.e164(text, f"{field}[{row}]"))
        return found

    def _quick(self, text: str) -> str | None:
        """Give a number where it is plain, None where the library must say."""
        if _PLAIN.fullmatch(text) is None:
            return None
        digits = text.translate(_SEPARATORS)
        if text[0] == "+":
            if digits[0] == "0":
                return None  # no country code begins so
            for length in (1, 2, 3):
                code = int(digits[:length])
                if code in COUNTRY_CODE_TO_REGION_CODE:
                    return "+" + digits if self._country(code).has(digits[length:]) else None
            return None
        if not self.region:
            return None
        own = self._country(self.region)
        return f"+{own.code}{digits}" if own.has(digits) else None

    def _country(self, of: int | str) -> _Country:
        found = self._countries.get(of)
        if found is None:
            found = _Country.of_code(of) if isinstance(of, int) else _Country.of_region(of)
            self._countries[of] = found
        return found


def normal_phone(text: object, region: str = "", field: str = "phone") -> str:
    """Give one number as E.164; :class:`InputError`, which does not repeat it, if it is none."""
    return Phones(region).e164(text, field)


def masked(phone: str) -> str:
    """Give the last three digits alone, for who may see no more: ``…671``."""
    return f"…{phone[-3:]}"


def by_library(text: str, region: str) -> str | None:
    """Read a number by the library alone; None for what is none, or has an extension."""
    try:
        parsed = phonenumbers.parse(text, region or None)
    except phonenumbers.NumberParseException:
        return None
    if parsed.extension or not phonenumbers.is_valid_number(parsed):
        return None
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))


def check_region(region: object) -> None:
    """Raise :class:`InputError` unless `region` is a country that has telephone numbers."""
    if region not in phonenumbers.SUPPORTED_REGIONS:
        raise InputError(f"region is {region!r}: it must be a country's code of two letters, such as US")


@dataclass(frozen=True)
class _Country:
    """When a national number, digits alone, is itself and nothing else: what the library would not change."""

    code: int
    general: re.Pattern[str]
    longest: int
    prefixes: tuple[re.Pattern[str], ...]
    """what dialled before a number would be taken off: numbers that begin so are left to the library"""
    regions: tuple[tuple[re.Pattern[str] | None, re.Pattern[str]], ...]
    """of the country code, in the library's sequence: digits that a number there begins with, all numbers"""

    def has(self, number: str) -> bool:
        if (
            number.startswith("0")
            or len(number) > self.longest
            or self.general.fullmatch(number) is None
            or any(prefix.match(number) for prefix in self.prefixes)
        ):
            return False
        for leading, valid in self.regions:
            if leading is None:
                if valid.fullmatch(number) is not None:
                    return True
            elif leading.match(number) is not None:
                return valid.fullmatch(number) is not None
        return False

    @classmethod
    def of_code(cls, code: int) -> _Country:
        """Of numbers with their country code."""
        main = COUNTRY_CODE_TO_REGION_CODE[code][0]
        return cls._of(code, PhoneMetadata.metadata_for_region_or_calling_code(code, main), ())

    @classmethod
    def of_region(cls, region: str) -> _Country:
        """Of numbers as they are dialled within a region."""
        told: Any = PhoneMetadata.metadata_for_region(region)
        abroad = () if told.international_prefix is None else (re.compile(told.international_prefix),)
        return cls._of(told.country_code, told, abroad)

    @classmethod
    def _of(cls, code: int, told: Any, prefixes: tuple[re.Pattern[str], ...]) -> _Country:
        if told.national_prefix_for_parsing:
            prefixes = (*prefixes, re.compile(told.national_prefix_for_parsing))
        all_told: Iterable[Any] = (
            PhoneMetadata.metadata_for_region_or_calling_code(code, region)
            for region in COUNTRY_CODE_TO_REGION_CODE[code]
        )
        regions = tuple(
            (re.compile(one.leading_digits) if one.leading_digits else None, _valid(one)) for one in all_told
        )
        general = told.general_desc
        longest = max(general.possible_length)
        return cls(code, re.compile(general.national_number_pattern), longest, prefixes, regions)


def _valid(told: Any) -> re.Pattern[str]:
    """Give one pattern for all numbers of a region, whatever they are for."""
    shared = told.same_mobile_and_fixed_line_pattern
    kinds = [_pattern(getattr(told, name)) for name in _TYPES if not (shared and name == "mobile")]
    some = "|".join(kind for kind in kinds if kind is not None)
    return re.compile(f"(?=(?:{_pattern(told.general_desc)})\\Z)(?:{some})")


def _pattern(desc: Any) -> str | None:
    if desc is None or not desc.national_number_pattern:
        return None
    lengths = "|".join(f"[0-9]{{{length}}}" for length in desc.possible_length if length > 0)
    ahead = f"(?=(?:{lengths})\\Z)" if lengths else ""
    return f"{ahead}(?:{desc.national_number_pattern})"
