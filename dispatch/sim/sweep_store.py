"""Where the runs of a sweep are kept: one Parquet file, a row a run, whole at every instant."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

import dispatch
from dispatch.analysis.kpi_list import KPIS
from dispatch.analysis.sweep_table import Value
from dispatch.errors import InputError

RUNS_FILE: Final = "runs.parquet"
META_FILE: Final = "sweep.json"
FORMAT: Final = 1
_LOCK_FILE: Final = ".lock"
_OWN_COLUMNS: Final[Mapping[str, pa.DataType]] = {
    "run_id": pa.string(),
    "seed": pa.int64(),
    "num_orders": pa.int64(),
    "num_drivers": pa.int64(),
    "event_log_sha256": pa.string(),
    "prepare_s": pa.float64(),
    "run_s": pa.float64(),
}
_WITHOUT_EFFECT: Final = ("cli", "crm", "service", "store")
"""Packages that no simulated run asks anything."""


@dataclass(frozen=True)
class StoredRun:
    """What is kept of a run."""

    run_id: str
    """digest of the variant's values, the seed and the code"""
    seed: int
    values: Mapping[str, Value]
    """of the keys that were varied"""
    num_orders: int
    num_drivers: int
    kpis: Mapping[str, float | None]
    event_log_sha256: str
    prepare_s: float
    """to read or make the city and the day"""
    run_s: float
    """of the run itself"""


class Identified(Protocol):
    """What the store asks of a scenario."""

    @property
    def name(self) -> str:
        """Name in reports."""

    @property
    def values(self) -> Mapping[str, Any]:
        """All values, as far as given, by key; tables of them are nested."""

    def digest(self) -> str:
        """Hash of all that a run depends on but its seed."""


def code_sha256() -> str:
    """Hash the sources that a run's result depends on: a run of other code is another run."""
    digest = hashlib.sha256(dispatch.__version__.encode())
    root = Path(dispatch.__file__).parent
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root)
        if name.parts[0] not in _WITHOUT_EFFECT:
            digest.update(name.as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def run_id(scenario: Identified, seed: int, code: str) -> str:
    """Name a run by all that it depends on."""
    told = f"{scenario.digest()}\0{seed}\0{code}"
    return hashlib.sha256(told.encode()).hexdigest()[:20]


class RunStore:
    """Finished runs of one scenario and its variants, kept in a folder or, without one, in memory alone.

    Each run is on disk before the next is added; a crash leaves the file as it was before or after. Use it as
    a context: only one process at a time writes into a folder.

    Parameters
    ----------
    folder : Path or None
        Made if it does not exist.
    scenario : Identified
        The scenario before anything is varied.
    code : str
        :func:`code_sha256`.

    Raises
    ------
    InputError
        The folder holds something else: runs of another scenario, of other code, files of another kind; or
        another process is writing into it.
    """

    def __init__(self, folder: Path | None, scenario: Identified, code: str) -> None:
        self.folder, self.code = folder, code
        self._scenario = scenario
        self._runs: dict[str, StoredRun] = {}
        self._is_saved = True
        self._lock: IO[str] | None = None
        if folder is None:
            return
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder}: that is a file, name a folder for the runs")
        folder.mkdir(parents=True, exist_ok=True)
        lock = _locked(folder)
        try:
            self._open(folder)
        except BaseException:
            if lock is not None:
                lock.close()
            raise
        self._lock = lock

    def _open(self, folder: Path) -> None:
        """Read what is there, where it is of this scenario and this code."""
        meta = _read_meta(folder)
        if meta is not None:
            _check_same(folder, meta, self._scenario, self.code)
        elif (folder / RUNS_FILE).exists():
            raise InputError(f"{folder}: it has {RUNS_FILE} but no {META_FILE}; name another folder")
        self._runs = {run.run_id: run for run in read_runs(folder)}
        if meta is None:
            self.note({})

    def __enter__(self) -> RunStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            self._lock.close()

    def __len__(self) -> int:
        """Count the runs."""
        return len(self._runs)

    def get(self, name: str) -> StoredRun | None:
        """Find a run by its ``run_id``."""
        return self._runs.get(name)

    def knows(self, name: str, values: Mapping[str, Value]) -> bool:
        """Tell whether a run is there; it learns values by which it is looked for.

        A run made when less was varied is also one of a sweep that varies more.
        """
        run = self._runs.get(name)
        if run is None:
            return False
        if run.values.keys() < {**run.values, **values}.keys():
            self._runs[name] = replace(run, values={**run.values, **values})
            self._is_saved = False
        return True

    def add(self, run: StoredRun) -> None:
        """Keep a run; it is on disk when this returns."""
        self._runs[run.run_id] = run
        self._is_saved = False
        self.save()

    def save(self) -> None:
        """Bring to the disk what is not yet there."""
        if self.folder is None or self._is_saved:
            return
        # Written anew each time: a thousand runs take 7 ms, which is little beside a run.
        table = _table(list(self._runs.values()))
        unfinished = self.folder / f"{RUNS_FILE}.part"
        with unfinished.open("wb") as file:
            pq.write_table(table, file)
            _flush(file)
        unfinished.replace(self.folder / RUNS_FILE)
        self._is_saved = True

    def note(self, facts: Mapping[str, Any]) -> None:
        """Write ``sweep.json``: whose runs these are, and `facts` about the latest sweep."""
        if self.folder is None:
            return
        meta = {
            "format": FORMAT,
            "scenario": self._scenario.name,
            "digest": self._scenario.digest(),
            "values": _flat(self._scenario.values),
            "dispatch": dispatch.__version__,
            "code_sha256": self.code,
            **facts,
        }
        unfinished = self.folder / f"{META_FILE}.part"
        with unfinished.open("w", encoding="utf-8") as file:
            json.dump(meta, file, indent=2, allow_nan=False, ensure_ascii=False)
            file.write("\n")
            _flush(file)
        unfinished.replace(self.folder / META_FILE)


def read_runs(folder: Path) -> list[StoredRun]:
    """Read the runs of a folder, sorted by what was varied, then by seed.

    Raises
    ------
    InputError
        Their file cannot be read.
    """
    path = folder / RUNS_FILE
    try:
        rows = pq.read_table(path).to_pylist()
    except FileNotFoundError:
        return []
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: no readable Parquet file ({error}); name another folder") from error
    names = {kpi.name for kpi in KPIS}
    return [
        StoredRun(
            kpis={name: row[name] for name in row if name in names},
            values={
                key: value
                for key, value in row.items()
                if value is not None and key not in names and key not in _OWN_COLUMNS
            },
            **{name: row[name] for name in _OWN_COLUMNS},
        )
        for row in rows
    ]


def _flush(file: IO[Any]) -> None:
    """Bring a file to the disk before its name changes hands: else a power cut may leave an empty one."""
    file.flush()
    os.fsync(file.fileno())


def _locked(folder: Path) -> IO[str] | None:
    """Hold the folder until the file is closed, also by the end of the process."""
    try:
        import fcntl
    except ImportError:  # pragma: no cover - Windows has no such lock, and goes without
        return None
    file = (folder / _LOCK_FILE).open("w", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise InputError(
            f"{folder}: another process is writing runs into it; wait for it, or name another folder"
        ) from error
    return file


def _read_meta(folder: Path) -> dict[str, Any] | None:
    path = folder / META_FILE
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError(f"{path}: no readable JSON ({error}); name another folder") from error
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise InputError(f"{path}: not of a sweep that this version can read; name another folder")
    return meta


def _check_same(folder: Path, meta: Mapping[str, Any], scenario: Identified, code: str) -> None:
    """Refuse runs that would not be comparable with those to come."""
    again = "name another folder, or delete this one"
    if meta["digest"] != scenario.digest():
        was, now = meta["values"], json.loads(json.dumps(_flat(scenario.values)))
        changed = [
            f"{key} was {was.get(key, 'not set')}, is {now.get(key, 'not set')}"
            for key in {**was, **now}
            if was.get(key) != now.get(key)
        ]
        what = "; ".join(changed[:5]) or "a file that it names has changed"
        raise InputError(
            f"{folder}: its runs are of the scenario {meta['scenario']} as it was: {what}; {again}"
        )
    if meta["code_sha256"] != code:
        raise InputError(
            f"{folder}: its runs were made by other code, dispatch {meta['dispatch']} "
            f"({meta['code_sha256'][:8]}), this is {dispatch.__version__} ({code[:8]}); {again}"
        )


def _flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Give nested tables as one, keys joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{above}{key}.") if isinstance(value, Mapping) else {f"{above}{key}": value}
    return flat


def _table(runs: Sequence[StoredRun]) -> pa.Table:
    """Give runs as a table, sorted by what was varied and by seed: in whichever sequence they ended."""
    keys = list(dict.fromkeys(key for run in runs for key in run.values))
    kinds = {key: _kind(run.values.get(key) for run in runs) for key in keys}
    runs = sorted(runs, key=lambda run: (*(_rank(run.values.get(key)) for key in keys), run.seed))
    columns: dict[str, pa.Array] = {}
    for key, kind in kinds.items():
        column = [run.values.get(key) for run in runs]
        told = [None if value is None else str(value) for value in column]
        columns[key] = pa.array(told if kind == pa.string() else column, kind)
    for name, kind in _OWN_COLUMNS.items():
        columns[name] = pa.array([getattr(run, name) for run in runs], kind)
    for kpi in KPIS:
        columns[kpi.name] = pa.array([run.kpis.get(kpi.name) for run in runs], pa.float64())
    return pa.table(columns)


def _kind(values: Iterable[Value | None]) -> pa.DataType:
    """Give the narrowest type that holds all values: whole numbers, numbers, or text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return pa.bool_()
    if kinds == {int}:
        return pa.int64()
    return pa.float64() if kinds <= {int, float} else pa.string()


def _rank(value: Value | None) -> tuple[int, float, str]:
    """Order values of any type: absent ones, numbers, text."""
    if value is None:
        return (0, 0.0, "")
    return (2, 0.0, value) if isinstance(value, str) else (1, float(value), "")
