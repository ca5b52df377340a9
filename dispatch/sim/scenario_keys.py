"""Keys and values of scenario files: what is unknown, of a wrong type or out of range; what to write."""

from __future__ import annotations

import datetime
import difflib
import json
import math
import re
import types
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import numpy as np

from dispatch.engine.policy import policy_named
from dispatch.errors import InputError
from dispatch.sim.scenario_tables import keys_of, plain, starting_tables

UNITS: Final = {
    "s": "in seconds",
    "ms": "in milliseconds",
    "min": "in minutes",
    "h": "in hours",
    "m": "in metres",
    "km": "in kilometres",
    "cents": "in cents",
    "share": "a share from 0 to 1",
    "per_min": "a number for each minute",
}
"""Last words of keys, and how the value is written."""

_FOREIGN_UNITS: Final = (
    "sec secs second seconds msec millis minute minutes hour hours d day days meter meters metre metres mi "
    "mile miles ft usd eur dollars euros pct percent ratio rate fraction probability prob"
)
_UNIT_AT_END: Final = re.compile(rf"_({'|'.join([*UNITS, *_FOREIGN_UNITS.split()])})$")

SHORT_NAMES: Final = {
    "seed": "scenario.seed",
    "city": "city.source",
    "policy": "policy.name",
    "drivers": "day.drivers",
    "behaviour": "behaviour.preset",
    "traffic": "traffic.model",
    "zones": "zones.file",
}
"""Beside every key that is in one table only."""


def unit_of(key: str) -> str:
    """Tell how the value of a key is written, by the last word of its name; empty where it has no unit."""
    ends = [unit for unit in UNITS if key.endswith(f"_{unit}")]
    return UNITS[max(ends, key=len)] if ends else ""


def hints_of(start: Any) -> dict[str, Any]:
    """Give the type of each field of a table."""
    return get_type_hints(type(start))


def typed(name: str, hint: Any, value: Any) -> Any:
    """Give a TOML value as its field's type: whole numbers as floats where these are meant, lists as tuples.

    Raises
    ------
    InputError
        It is of another type; ``name`` begins the message.
    """
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, datetime.date) and hint is str:
        return value.isoformat()
    wrong = f"{name} is {_shown(value)}: it must be "
    if get_origin(hint) in (Union, types.UnionType):
        return _one_of(name, hint, value)
    if get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise InputError(f"{wrong}a list of numbers in brackets")
        of = get_args(hint)[0]
        return tuple(typed(f"{name}[{i}]", of, one) for i, one in enumerate(value))
    if hint is float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(f"{wrong}a number")
        return float(value)
    if hint is int and (isinstance(value, bool) or not isinstance(value, int)):
        raise InputError(f"{wrong}a whole number")
    if hint is bool and not isinstance(value, bool):
        raise InputError(f"{wrong}true or false")
    if hint is str and not isinstance(value, str):
        raise InputError(f"{wrong}text in quotes")
    return value


def _one_of(name: str, hint: Any, value: Any) -> Any:
    complaints = []
    for each in get_args(hint):
        try:
            return typed(name, each, value)
        except InputError as error:
            complaints.append(str(error).partition(": it must be ")[2])
    raise InputError(f"{name} is {_shown(value)}: it must be {' or '.join(complaints)}")


def read_text(hint: Any, text: str) -> Any:
    """Read a value from a command line; what is not of the type stays text, for :func:`typed` to refuse."""
    if get_origin(hint) in (Union, types.UnionType):
        numbers = [each for each in get_args(hint) if each is not str]
        return read_text(numbers[0], text) if numbers else text
    if hint is str:
        return text
    try:
        if hint in (int, float):
            return hint(text)
        return json.loads(text)
    except ValueError:
        return text


def checked_tables(given: Mapping[str, Any]) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """Check the keys and values of a file, each table by itself.

    Returns
    -------
    problems : list of str
        Everything that is wrong, each line beginning with the dotted key.
    good : dict
        By table, the keys and values that are right, as TOML has values of their types; no empty tables.
    """
    starts = starting_tables(given)
    problems, good = [], {}
    for table, keys in given.items():
        if table not in starts:
            problems.append(_unknown_table(table, keys, starts))
        elif not isinstance(keys, Mapping):
            problems.append(f"{table} is {_shown(keys)}: it must be a table, [{table}] with keys below it")
        else:
            good[table] = _checked_table(table, keys, starts[table], problems)
    return problems, {table: keys for table, keys in good.items() if keys}


def _checked_table(table: str, given: Mapping[str, Any], start: Any, problems: list[str]) -> dict[str, Any]:
    """Give the right keys of a table, and add what is wrong with the others to the problems."""
    known, hints = keys_of(table, start), hints_of(start)
    good = {}
    for key, value in given.items():
        if key not in known:
            problems.append(_unknown_key(table, key, known))
            continue
        try:
            good[key] = typed(key, hints[key], value)
            if (table, key) == ("policy", "name"):
                policy_named(value)
        except InputError as error:
            good.pop(key, None)
            problems.append(_of_table(table, _with_range(str(error), key, start)))
    _remove_what_is_out_of_range(table, good, start, problems)
    return {key: plain(value) for key, value in good.items()}


def _remove_what_is_out_of_range(table: str, good: dict[str, Any], start: Any, problems: list[str]) -> None:
    """Remove values out of range: the dataclass tells the first; without it, it tells the next."""
    removed: set[str] = set()
    while True:
        try:
            replace(start, **good)
        except InputError as error:
            message, key = str(error), re.split(r"\W", str(error), maxsplit=1)[0]
            # A rule that names a key which is wrong anyway may be broken because of that alone.
            if not any(re.search(rf"\b{one}\b", message) for one in removed):
                problems.append(_of_table(table, message))
            if key not in good:
                good.clear()
                return
            removed.add(key)
            del good[key]
        else:
            return


def _with_range(message: str, key: str, start: Any) -> str:
    """Tell the range, too, of a value that is of the wrong type."""
    told, of, _ = message.partition(": it must be ")
    rule = rule_of(start, key) if told.startswith(f"{key} is ") else ""
    return f"{told}{of}{rule}" if rule else message


def _of_table(table: str, message: str) -> str:
    """Name the table before the key that begins a message; a policy's own name goes by its table there."""
    if table == "policy" and message.startswith("policy is "):
        return message.replace("policy", "policy.name", 1)
    return f"{table}.{message}"


def _unknown_table(table: str, keys: Any, starts: Mapping[str, Any]) -> str:
    homes = [f"{home}.{table}" for home, start in starts.items() if table in keys_of(home, start)]
    if not isinstance(keys, Mapping):
        where = f"write it under [{homes[0].partition('.')[0]}]" if homes else "keys belong into a table"
        return f"{table} stands outside of any table: {where}"
    close = difflib.get_close_matches(table, starts, 1)
    return f"{table} is no table of a scenario" + (
        f": did you mean [{close[0]}]?" if close else f": they are {', '.join(starts)}"
    )


def _unknown_key(table: str, key: str, known: Mapping[str, Any]) -> str:
    stem = _UNIT_AT_END.sub("", key)
    same = [one for one in known if one != key and _UNIT_AT_END.sub("", one) == stem]
    if same:
        unit = unit_of(same[0])
        return f"{table}.{key} is no key: write {same[0]}{', ' + unit if unit else ''}"
    close = difflib.get_close_matches(key, known, 1)
    return f"{table}.{key} is no key of [{table}]" + (
        f": did you mean {close[0]}?" if close else f": they are {', '.join(known)}"
    )


def dotted_key(key: str, given: Mapping[str, Any]) -> str:
    """Give the dotted name of a key, also of a short one that is in one table only.

    Raises
    ------
    InputError
        There is no such key, or several tables have it.
    """
    starts = starting_tables(given)
    table, dot, name = key.partition(".")
    if dot:
        if table not in starts:
            raise InputError(_unknown_table(table, {}, starts))
        known = keys_of(table, starts[table])
        if name not in known:
            raise InputError(_unknown_key(table, name, known))
        return key
    if key in SHORT_NAMES:
        return SHORT_NAMES[key]
    all_keys = {f"{home}.{one}": one for home, start in starts.items() for one in keys_of(home, start)}
    homes = [dotted for dotted, one in all_keys.items() if one == key]
    if len(homes) == 1:
        return homes[0]
    if homes:
        raise InputError(f"{key} is a key of several tables: write {' or '.join(homes)}")
    stem = _UNIT_AT_END.sub("", key)
    same = [dotted for dotted, one in all_keys.items() if _UNIT_AT_END.sub("", one) == stem]
    if same:
        unit = unit_of(same[0])
        raise InputError(f"{key} is no key of a scenario: write {same[0]}{', ' + unit if unit else ''}")
    close = difflib.get_close_matches(key, [*all_keys.values(), *SHORT_NAMES], 1)
    hint = f": did you mean {close[0]}?" if close else "; dispatch scenario show lists them all"
    raise InputError(f"{key} is no key of a scenario{hint}")


def rule_of(start: Any, key: str) -> str:
    """Tell what a key may be, as its dataclass itself tells of a value that cannot be right.

    Empty where every value of the type is right.
    """
    hint = hints_of(start)[key]
    if get_origin(hint) not in (Union, types.UnionType):
        return _refusal(start, key, hint)
    number, *others = (_refusal(start, key, each) for each in get_args(hint))
    # Of the rule for text, what follows the number that it names, too.
    return " or ".join([number, *(other.partition(" or ")[2] for other in others)])


def _refusal(start: Any, key: str, hint: Any) -> str:
    wrong: dict[Any, Any] = {float: math.nan, int: math.nan, bool: None, str: "\0"}
    try:
        replace(start, **{key: wrong.get(hint, ())})
    except InputError as error:
        rule = str(error).partition(": it must be ")[2]
        return rule.replace("a number", "a whole number", 1) if hint is int else rule
    return ""


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value}" if isinstance(value, datetime.date | datetime.time) else repr(value)
