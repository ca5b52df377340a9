"""Scenarios as TOML files: read, checked key by key, varied, written and built."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from dispatch.engine.limits import check_seed
from dispatch.errors import InputError
from dispatch.sim.scenario import Scenario
from dispatch.sim.scenario_build import CityCache, build_scenario, problems_of_places
from dispatch.sim.scenario_keys import (
    dotted_key,
    hints_of,
    normalised,
    problems_of_tables,
    read_text,
    rule_of,
    unit_of,
)
from dispatch.sim.scenario_tables import Tables, keys_of, starting_tables

SUFFIX: Final = ".toml"


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
        problems = problems_of_tables(self.given)
        if problems:
            raise InputError(_together(self.path, problems))
        object.__setattr__(self, "given", normalised(self.given))

    @property
    def name(self) -> str:
        """What it is called: by itself, or else after its file."""
        named: str = self.values["scenario"]["name"]
        return named

    @cached_property
    def values(self) -> dict[str, dict[str, Any]]:
        """All values, defaults included, by table and key; changing them changes nothing."""
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
            ``seed``, ``city``, ``policy``, ``drivers`` (of the day), ``behaviour``, ``traffic``, ``zones``
            and ``name``.
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
        # What the others are checked against comes first.
        for key in sorted(changes, key=lambda key: "name" not in key and "policy" not in key):
            dotted = dotted_key(key, given)
            table, _, name = dotted.partition(".")
            hint = hints_of(starting_tables(given)[table])[name]
            value = changes[key]
            value = read_text(hint, value) if isinstance(value, str) else value
            given.setdefault(table, {})[name] = value
        problems = problems_of_tables(given)
        if problems:
            raise InputError(_together(None, problems))
        return ScenarioFile(given, self.path)

    def problems(self) -> list[str]:
        """List values that do not go together, and files that are not there; no city is read."""
        return problems_of_places(self.values, self.folder)

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
        problems = self.problems()
        if problems:
            raise InputError(_together(self.path, problems))
        return build_scenario(self.values, self.folder, seed, city_cache)

    def to_toml(self, complete: bool = False) -> str:
        """Write what is set; read again it gives an equal scenario.

        Parameters
        ----------
        complete : bool
            Write all other keys, too, as comments with their defaults, units and ranges.
        """
        lines: list[str] = []
        for table, start in starting_tables(self.given).items():
            given = self.given.get(table, {})
            if not given and not complete:
                continue
            lines += ["", f"[{table}]"]
            for key, value in self.values[table].items():
                rule = rule_of(start, key) or unit_of(key)
                comment = f"  # {rule}" if complete and rule else ""
                if key in given:
                    lines.append(f"{key} = {_toml(value)}{comment}")
                elif complete:
                    lines.append(f"# {key} = {_toml(value)}{comment}")
        return "\n".join(lines).lstrip("\n") + "\n"

    def digest(self) -> str:
        """Hash all values but name and description: equal where a run would be; 64 hexadecimal digits."""
        values = self.values | {"scenario": {"seed": self.values["scenario"]["seed"]}}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


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
