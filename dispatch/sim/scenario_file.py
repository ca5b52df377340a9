"""Scenarios as TOML files: read, checked key by key, varied, written and built."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from dispatch.errors import InputError
from dispatch.limits import check_seed
from dispatch.sim.etas import file_blake2b, names_file
from dispatch.sim.scenario import Scenario
from dispatch.sim.scenario_build import CityCache, build_scenario, expanded, problems_of_places
from dispatch.sim.scenario_keys import checked_tables, dotted_key, hints_of, read_text, rules_of, unit_of
from dispatch.sim.scenario_tables import Tables, keys_of, starting_tables

SUFFIX: Final = ".toml"


@dataclass(frozen=True)
class Row:
    """One key of a scenario."""

    table: str
    key: str
    value: Any
    default: Any
    """of a file that says nothing"""
    rule: str
    """what the value may be, or its unit; empty: anything of its type"""


@dataclass(frozen=True)
class ScenarioFile:
    """What a scenario file says; every key that it leaves out has a default.

    Its tables and values are right, each by itself; whether they go together, and whether the city is there,
    is told by :meth:`problems`, and refused by :meth:`build`.
    """

    given: Tables = field(default_factory=dict)
    """keys that are set, by table; plain TOML values"""
    path: Path | None = None
    """of the file, None: not from a file"""

    def __post_init__(self) -> None:
        """Refuse unknown keys, and values of wrong types or out of range: all that are, in one error."""
        problems, good = checked_tables(self.given)
        if problems:
            raise InputError(_together(self.path, problems + self._problems_of_the_rest(good)))
        object.__setattr__(self, "given", good)

    def _problems_of_the_rest(self, good: Tables) -> list[str]:
        """List what else is wrong, whatever the values were meant to be that are wrong by themselves."""
        wrong = set()
        for table, keys in self.given.items():
            wrong |= set(keys if isinstance(keys, Mapping) else ()) - good.get(table, {}).keys()
        others = ScenarioFile(good, self.path).problems()
        return [problem for problem in others if not wrong & set(re.findall(r"\w+", problem))]

    @property
    def name(self) -> str:
        """What it is called: by itself, or else after its file."""
        named: str = self.values["scenario"]["name"]
        return named

    @cached_property
    def values(self) -> dict[str, dict[str, Any]]:
        """All values, defaults included, by table and key; not to be written."""
        complete = {}
        for table, start in starting_tables(self.given).items():
            complete[table] = keys_of(table, start) | dict(self.given.get(table, {}))
        if self.path is not None and "name" not in self.given.get("scenario", {}):
            complete["scenario"]["name"] = self.path.stem
        return complete

    @property
    def folder(self) -> Path:
        """Where relative paths start."""
        return Path() if self.path is None else self.path.parent

    def with_value(self, key: str, value: Any) -> ScenarioFile:
        """Set one key.

        Other keys that are set stay as they are: after ``policy.name`` is changed, parameters of the policy
        that the file sets still hold, and all others are those of the new policy. Likewise with
        ``behaviour.preset``.

        Parameters
        ----------
        key : str
            Dotted, ``day.drivers``, or short where one table only has it: ``window_s``. Short are also
            ``seed``, ``city``, ``policy``, ``drivers`` (of the day), ``behaviour``, ``traffic`` and
            ``zones``.
        value
            As in TOML, or text as on a command line: ``"300"``, ``"nearest"``, ``"true"``, ``"[0.8,0.2]"``.

        Raises
        ------
        InputError
            There is no such key, several tables have it, or the value is wrong.
        """
        return self.with_values({key: value})

    def with_values(self, changes: Mapping[str, Any]) -> ScenarioFile:
        """Set several keys at once, as those must be that go together; see :meth:`with_value`."""
        given = {table: dict(keys) for table, keys in self.given.items()}
        # The name of a policy says which parameters there are.
        for key in sorted(changes, key=lambda key: key not in ("policy", "policy.name")):
            dotted = dotted_key(key, given)
            table, _, name = dotted.partition(".")
            hint, value = hints_of(starting_tables(given)[table])[name], changes[key]
            value = read_text(hint, value) if isinstance(value, str) else value
            given.setdefault(table, {})[name] = value
        problems, good = checked_tables(given)
        if problems:
            raise InputError(_together(None, problems))
        return ScenarioFile(good, self.path)

    def with_policy(self, name: str) -> ScenarioFile:
        """Set another policy as it is by its name; parameters that are set stay with the present one only."""
        if name == self.values["policy"]["name"]:
            return self
        others = {table: keys for table, keys in self.given.items() if table != "policy"}
        return ScenarioFile(others, self.path).with_value("policy.name", name)

    def problems(self) -> list[str]:
        """List values that do not go together, and files that are not there; no city is read."""
        return problems_of_places(self.values, self.folder)

    def check(self) -> None:
        """Raise :class:`InputError` with all that :meth:`problems` lists."""
        problems = self.problems()
        if problems:
            raise InputError(_together(self.path, problems))

    def rows(self) -> list[Row]:
        """List every key with its value, what it is by default, and what it may be."""
        default = ScenarioFile().values
        rows = []
        for table, start in starting_tables(self.given).items():
            rules = rules_of(start)
            for key, value in self.values[table].items():
                rows.append(Row(table, key, value, default[table].get(key), rules[key] or unit_of(key)))
        return rows

    def build(self, seed: int | None = None, city_cache: CityCache | None = None) -> Scenario:
        """Read or make the city and its day; equal values and seeds give equal scenarios.

        Parameters
        ----------
        seed : int, optional
            Instead of the file's. The built-in city has a seed of its own.
        city_cache : dict, optional
            Empty at first: scenarios that are built with one dict share their cities, and where their days
            are the same, those, too.

        Raises
        ------
        InputError
            Values do not go together, the city cannot be read, or has no such day.
        """
        if seed is not None:
            check_seed(seed)
        self.check()
        try:
            return build_scenario(self.values, self.folder, seed, city_cache)
        except InputError as error:
            raise InputError(_together(self.path, [str(error)])) from error

    def to_toml(self, complete: bool = False) -> str:
        """Write what is set; read again it gives an equal scenario.

        Parameters
        ----------
        complete : bool
            Write all other keys, too, as comments with their defaults, units and ranges.
        """
        lines: list[str] = []
        table = ""
        for row in self.rows():
            is_given = row.key in self.given.get(row.table, {})
            if not (is_given or complete):
                continue
            if row.table != table:
                table = row.table
                lines += ["", f"[{table}]"]
            rule = f"  # {row.rule}" if complete and row.rule else ""
            lines.append(f"{'' if is_given else '# '}{row.key} = {_toml(row.value)}{rule}")
        return "\n".join(lines).lstrip("\n") + "\n"

    def digest(self) -> str:
        """Hash all values but name and description: equal where a run would be; 64 hexadecimal digits.

        Of a model of ETAs the file itself counts, too.
        """
        values = self.values | {"scenario": {"seed": self.values["scenario"]["seed"]}}
        if names_file(values["traffic"]["eta"]):
            values |= {"traffic": values["traffic"] | {"eta_blake2b": self._eta_blake2b}}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    @cached_property
    def _eta_blake2b(self) -> str:
        """Hash of the file that ``traffic.eta`` names; empty where it is missing, as ``problems`` tells."""
        try:
            return file_blake2b(expanded(self.values["traffic"]["eta"], self.folder))
        except InputError:
            return ""


def load_scenario(source: str | Path) -> ScenarioFile:
    """Read a scenario file, or a packaged scenario by its name.

    Parameters
    ----------
    source : path
        A file, or one of :func:`packaged_scenarios`.

    Raises
    ------
    InputError
        There is no such file, it is no TOML, or keys or values are wrong: all that are, one a line.
    """
    path = Path(source)
    if path.suffix != SUFFIX and str(source) in packaged_scenarios():
        path = packaged_scenarios()[str(source)]
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, FileNotFoundError):
            names = ", ".join(packaged_scenarios())
            raise InputError(f"{path}: no such scenario file; packaged ones are {names}") from None
        raise InputError(f"{path}: cannot be read as text ({error})") from error
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not valid TOML: {error}") from error
    return ScenarioFile(given, path)


def is_scenario(source: str | Path) -> bool:
    """Whether this names a scenario, not a city: a ``.toml`` file, or a packaged one and no folder."""
    path = Path(source)
    return path.suffix == SUFFIX or (str(source) in packaged_scenarios() and not path.exists())


def packaged_scenarios() -> dict[str, Path]:
    """Give the files of the packaged scenarios by name."""
    folder = Path(str(files("dispatch.sim") / "scenarios"))
    return {path.stem: path for path in sorted(folder.glob(f"*{SUFFIX}"))}


def _together(path: Path | None, problems: list[str]) -> str:
    """Put problems into one message: one line where there is one, else one a line."""
    where = "" if path is None else f"{path}: "
    if len(problems) == 1:
        return where + problems[0]
    return f"{where}{len(problems)} problems\n" + "\n".join(f"  {problem}" for problem in problems)


def _toml(value: Any) -> str:
    """Write one value; JSON's text is TOML's, but for DEL."""
    if isinstance(value, list):
        return f"[{', '.join(_toml(one) for one in value)}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
