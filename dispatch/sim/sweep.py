"""Sweeps: a scenario under several values of some of its keys, each with the same seeds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from itertools import product
from typing import Final, get_origin

from dispatch.analysis.sweep_table import SweepTable, Value, value_text
from dispatch.errors import InputError
from dispatch.limits import check_whole
from dispatch.sim.scenario_file import ScenarioFile
from dispatch.sim.scenario_keys import SHORT_NAMES, dotted_key, hints_of, read_text, typed
from dispatch.sim.scenario_tables import starting_tables
from dispatch.sim.sweep_store import RunStore, run_id
from dispatch.sim.sweep_workers import Task, Workers

MAX_RUNS: Final = 100_000
NOT_VARIED: Final = ("scenario.seed", "scenario.name", "scenario.description")
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Sweep:
    """What is to be run: every combination of the values of each key, with seeds 1 … `num_seeds`.

    Seed s gives every variant the same demand, and the same people and shifts.
    """

    scenario: ScenarioFile
    varied: Mapping[str, tuple[Value, ...]]
    """values by key; no key: the scenario itself is the only variant"""
    num_seeds: int = 1

    def __post_init__(self) -> None:
        """Refuse what would run too long, and values that the scenario cannot have."""
        check_whole("seeds", self.num_seeds, 1, MAX_RUNS)
        num_runs = len(self.variants) * self.num_seeds
        if num_runs > MAX_RUNS:
            raise InputError(f"vary gives {num_runs:,} runs: they must be {MAX_RUNS:,} at most; vary less")
        for key, values in self.varied.items():
            if len(set(values)) < len(values):
                raise InputError(f"vary has a value of {key} twice: give each once")
        self.scenarios  # noqa: B018 - checks the values

    def check(self) -> None:
        """Refuse variants whose values do not go together, and files that are not there.

        Raises
        ------
        InputError
            With all problems, and the variant that has them.
        """
        for variant_idx, scenario in enumerate(self.scenarios):
            problems = scenario.problems()
            if problems:
                values = _in_words(self.values(variant_idx))
                raise InputError(f"{self.scenario.name} with {values}: {'; '.join(problems)}")

    @property
    def keys(self) -> tuple[str, ...]:
        """What is varied."""
        return tuple(self.varied)

    @cached_property
    def variants(self) -> tuple[tuple[Value, ...], ...]:
        """Values of the keys, the last key varying fastest."""
        return tuple(product(*self.varied.values()))

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of each variant."""
        return tuple(range(1, self.num_seeds + 1))

    @cached_property
    def scenarios(self) -> tuple[ScenarioFile, ...]:
        """The scenario of each variant."""
        return tuple(self._scenario_of(variant_idx) for variant_idx in range(len(self.variants)))

    def _scenario_of(self, variant_idx: int) -> ScenarioFile:
        values = self.values(variant_idx)
        try:
            return self.scenario.with_values(values)
        except InputError as error:
            raise InputError(f"vary gives {_in_words(values)}: {error}") from None

    def values(self, variant_idx: int) -> dict[str, Value]:
        """Give a variant's values by key."""
        return dict(zip(self.keys, self.variants[variant_idx], strict=True))

    def variant_of(self, text: str) -> int:
        """Find the variant that ``drivers=500,policy=batch`` names; keys left out take their first value.

        Raises
        ------
        InputError
            It names a key or a value that is not varied.
        """
        wanted = {key: values[0] for key, values in self.varied.items()}
        for part in text.split(","):
            name, is_, told = (side.strip() for side in part.partition("="))
            key = own_key(self.scenario, name) if is_ else ""
            if key not in self.varied:
                raise InputError(
                    f"baseline is {text!r}: {part!r} must be KEY=VALUE with a key that is varied: "
                    f"{', '.join(self.keys) or 'none is'}"
                )
            wanted[key] = _value_of(self.scenario, key, told)
            if wanted[key] not in self.varied[key]:
                values = ", ".join(map(value_text, self.varied[key]))
                raise InputError(f"baseline is {text!r}: {key} is varied over {values} only")
        return self.variants.index(tuple(wanted.values()))


def _in_words(values: Mapping[str, Value]) -> str:
    return ", ".join(f"{key}={value_text(value)}" for key, value in values.items()) or "no changes"


def own_key(scenario: ScenarioFile, key: str) -> str:
    """Give the one name that a key has in tables of runs, short where a short name is enough.

    Raises
    ------
    InputError
        The scenario has no such key, or each run has its own value of it anyway.
    """
    dotted = dotted_key(key, scenario.given)
    if dotted == "scenario.seed":
        raise InputError("vary names seed: every variant has the same seeds, set their number instead")
    if dotted in NOT_VARIED:
        raise InputError(f"vary names {dotted}: it changes nothing in a run")
    shorts = [short for short, long in SHORT_NAMES.items() if long == dotted]
    last = dotted.partition(".")[2]
    for short in (*shorts, last):
        try:
            if dotted_key(short, scenario.given) == dotted:
                return short
        except InputError:
            continue  # several tables have it
    return dotted


def read_varied(scenario: ScenarioFile, texts: Sequence[str]) -> dict[str, tuple[Value, ...]]:
    """Read what is varied: ``drivers=300:700:100`` is 300, 400 … 700, ``policy=nearest,batch`` a list.

    Raises
    ------
    InputError
        A text is none of these, a key is not the scenario's, or varied twice, or a value is wrong.
    """
    varied: dict[str, tuple[Value, ...]] = {}
    for text in texts:
        name, is_, told = (side.strip() for side in text.partition("="))
        if not (is_ and name and told):
            raise InputError(f"vary is {text!r}: it must be KEY=VALUE,VALUE… or KEY=FIRST:LAST:STEP")
        key = own_key(scenario, name)
        if key in varied:
            raise InputError(f"vary names {key} twice: give all its values at once, separated by commas")
        values = [one for part in told.split(",") for one in _range_or_one(key, part.strip())]
        varied[key] = tuple(_value_of(scenario, key, value) for value in values)
    return varied


def _range_or_one(key: str, text: str) -> list[str]:
    """Give the values of ``FIRST:LAST:STEP``, the last included where a step meets it; else the text."""
    ends = text.split(":")
    if not (len(ends) == 3 and all(_NUMBER.fullmatch(end.strip()) for end in ends)):
        return [text]
    # Decimals: 0.1:0.5:0.1 is to end with 0.5, and to hold 0.3, not 0.30000000000000004.
    first, last, step = (Decimal(end.strip()) for end in ends)
    if step <= 0 or last < first:
        raise InputError(f"vary gives {key} the range {text}: it must be FIRST:LAST:STEP, upwards")
    num = int((last - first) / step) + 1
    if num > MAX_RUNS:
        raise InputError(f"vary gives {key} {num:,} values: they must be {MAX_RUNS:,} at most")
    return [f"{first + step * i:f}" for i in range(num)]


def _value_of(scenario: ScenarioFile, key: str, text: str) -> Value:
    table, _, name = dotted_key(key, scenario.given).partition(".")
    hint = hints_of(starting_tables(scenario.given)[table])[name]
    if get_origin(hint) is tuple:
        raise InputError(f"vary names {key}: lists cannot be varied")
    try:
        value: Value = typed(name, hint, read_text(hint, text))
    except InputError as error:
        raise InputError(f"vary gives {key}={text}: {table}.{error}") from None
    return value


@dataclass(frozen=True)
class SweepProgress:
    """How far a sweep has come."""

    num_done: int
    """of the runs that were missing"""
    num_missing: int
    """at the start"""
    num_kept: int
    """made before, and used again"""
    share: float
    """of the missing, those under way in parts"""


def run_sweep(
    sweep: Sweep,
    store: RunStore,
    workers: Workers,
    on_progress: Callable[[SweepProgress], None] = lambda _state: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> SweepTable:
    """Make the runs that the store does not have, and give all.

    Parameters
    ----------
    sweep : Sweep
    store : RunStore
        Of the same scenario. Each run is in it as soon as it is finished.
    workers : Workers
        The results are the same, however many they are.
    on_progress : callable, optional
        Called at the start, and often.
    should_stop : callable, optional
        Asked again and again; true ends the sweep: runs under way are lost, finished ones kept.

    Returns
    -------
    SweepTable
        Where the sweep was stopped, of the runs that are there.

    Raises
    ------
    DispatchError
        A run failed; those finished before are in the store.
    """
    missing = missing_runs(sweep, store)
    num_missing, num_done = len(missing), 0
    num_kept = len(sweep.variants) * sweep.num_seeds - num_missing
    shares: dict[str, float] = {}

    def tell() -> None:
        share = (num_done + sum(shares.values())) / max(num_missing, 1)
        on_progress(SweepProgress(num_done, num_missing, num_kept, share))

    def on_share(name: str, share: float) -> None:
        shares[name] = share
        tell()

    store.save()
    tell()
    for made in workers.make_runs(missing, on_share, should_stop):
        store.add(made)
        shares.pop(made.run_id, None)
        num_done += 1
        tell()
    kpis = {
        (variant_idx, seed): run.kpis
        for variant_idx, scenario in enumerate(sweep.scenarios)
        for seed in sweep.seeds
        if (run := store.get(run_id(scenario, seed, store.code))) is not None
    }
    return SweepTable(sweep.scenario.name, sweep.keys, sweep.variants, sweep.seeds, kpis)


def missing_runs(sweep: Sweep, store: RunStore) -> list[Task]:
    """Give the runs that are to be made, seed by seed: a sweep that is stopped has compared all variants."""
    tasks = []
    for seed in sweep.seeds:
        for variant_idx, scenario in enumerate(sweep.scenarios):
            name, values = run_id(scenario, seed, store.code), sweep.values(variant_idx)
            if not store.knows(name, values):
                tasks.append(Task(name, scenario, values, seed))
    return tasks
