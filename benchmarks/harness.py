"""Time us and our peers on the same work: in one process, in turn, one thread each.

A suite is a module with ``SUMMARY`` (a line of text), ``PACKAGES`` (distributions whose versions matter) and
``measure(report)``, which calls ``report.compare(case)`` for each case, and ``report.table(…)`` for what is
no comparison. All else (rounds, tables, floors, JSON, README) is done here and in `publish.py`.
"""

import gc
import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from types import MappingProxyType
from typing import Any, NamedTuple, TextIO

OURS = "ours"
TOLERATED_SHARE_OF_FLOOR = 0.8
"""Machines are noisy: a row fails below this share of its floor, and is called a miss below the floor."""
HOPELESS_FACTOR, HOPELESS_MS = 3.0, 200.0
"""A peer that takes longer than this and so many times the best peer is called once: it cannot win."""
SLOW_MS = 1_000.0
MOST_REPEATS = 100_000

Call = Callable[[], Any]
Row = dict[str, Any]


class WrongAnswerError(Exception):
    """An answer is not what it must be."""


def _accept(_name: str, _answer: Any) -> None:
    """Accept every answer."""


class Work(NamedTuple):
    """One instance, ready to be solved by us and by peers: the calls do nothing but what is to be timed."""

    ours: Call
    peers: Mapping[str, Call | None]
    """by name; None where the peer is not installed"""
    check: Callable[[str, Any], None] = _accept
    """takes ``"ours"`` or a peer's name, and its answer; raises `WrongAnswerError`; not timed"""
    form_ms: Mapping[str, float] = MappingProxyType({})
    """what making a peer's own form of the input took, which its time leaves out; told beside it"""
    facts: Mapping[str, float] = MappingProxyType({})
    """further figures about our own solve, of which the row gets the medians"""
    beside: Mapping[str, Call] = MappingProxyType({})
    """timed in the same rounds, and no peer: a yardstick"""
    units: Mapping[str, float] = MappingProxyType({})
    """how many of what the row counts a call by this name does, 1 if not here; times are told per unit"""


class Case(NamedTuple):
    """A row of the table: the median over instances."""

    name: str
    instances: Sequence[Callable[[], Work]]
    """each makes a `Work`, one after the other, so that only one is in memory"""
    floor: float | None = None
    """least ratio of the best peer's time to ours, None if nothing is asked"""
    limits: Mapping[str, float] = MappingProxyType({})
    """at most so many times what is named in :attr:`Work.beside`, or this figure of :attr:`Work.facts`"""


class Pace(NamedTuple):
    """How long to measure."""

    least_rounds: int
    most_rounds: int
    slow_rounds: int
    """for a peer that takes longer than `SLOW_MS`"""
    aim_s: float
    """rounds are added until an instance took this long"""
    least_ms: float
    """a cheap call is repeated within a round until the measurement takes so long"""


FULL = Pace(least_rounds=5, most_rounds=31, slow_rounds=5, aim_s=2.0, least_ms=5.0)
QUICK = Pace(least_rounds=5, most_rounds=9, slow_rounds=3, aim_s=0.5, least_ms=2.0)
TINY = Pace(least_rounds=1, most_rounds=1, slow_rounds=1, aim_s=0.0, least_ms=0.0)


class Timing(NamedTuple):
    """What one instance showed."""

    ms: dict[str, float]
    """median per unit, by name"""
    wrong: dict[str, str]
    """by name: what was wrong with the answer"""
    form_ms: Mapping[str, float] = MappingProxyType({})
    facts: Mapping[str, float] = MappingProxyType({})
    beside: tuple[str, ...] = ()


def time_work(work: Work, pace: Pace, progress: Callable[[str], None] = lambda _: None) -> Timing:
    """Check each answer once, then time all calls in rounds; who begins rotates from round to round."""
    peers = {name: call for name, call in work.peers.items() if call is not None}
    calls = {OURS: work.ours} | peers | dict(work.beside)
    first_ms: dict[str, float] = {}
    wrong: dict[str, str] = {}
    for name, call in calls.items():
        progress(f"first call of {name}")
        started = time.perf_counter()
        answer = call()
        first_ms[name] = (time.perf_counter() - started) * 1e3
        try:
            if name not in work.beside:
                work.check(name, answer)
        except WrongAnswerError as error:
            wrong[name] = str(error)
        del answer
    unit_ms = {name: ms / work.units.get(name, 1) for name, ms in first_ms.items()}
    best_peer_ms = min((unit_ms[name] for name in peers if name not in wrong), default=0.0)
    contenders = [
        name
        for name in calls
        if name not in peers
        or first_ms[name] <= HOPELESS_MS
        or unit_ms[name] <= HOPELESS_FACTOR * best_peer_ms
    ]
    repeats = {name: _repeats(calls[name], first_ms[name], pace.least_ms) for name in contenders}
    spent_ms = _rounds({name: calls[name] for name in contenders}, repeats, pace, progress)
    ms = first_ms | {name: median(ms) for name, ms in spent_ms.items()}
    ms = {name: ms[name] / work.units.get(name, 1) for name in calls}
    return Timing(ms, wrong, work.form_ms, work.facts, tuple(work.beside))


def _repeats(call: Call, first_ms: float, least_ms: float) -> int:
    """How often to call it in a round so that the clock and its overhead do not matter."""
    repeats, took_ms = 1, first_ms
    while took_ms < least_ms and repeats < MOST_REPEATS:
        repeats = min(MOST_REPEATS, math.ceil(repeats * min(10.0, 1.2 * least_ms / max(took_ms, 1e-3))))
        took_ms = _time_ms(call, repeats) * repeats
    return repeats


def _rounds(
    calls: Mapping[str, Call], repeats: Mapping[str, int], pace: Pace, progress: Callable[[str], None]
) -> dict[str, list[float]]:
    """Milliseconds per call and round, by name."""
    names = list(calls)
    spent_ms: dict[str, list[float]] = {name: [] for name in names}
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        started = time.perf_counter()
        for number in range(pace.most_rounds):
            if number >= pace.least_rounds and time.perf_counter() - started > pace.aim_s:
                break
            gc.collect()
            shift = number % len(names)
            for name in names[shift:] + names[:shift]:
                if number >= pace.slow_rounds and median(spent_ms[name]) > SLOW_MS:
                    continue
                progress(f"round {number + 1}, {name}")
                spent_ms[name].append(_time_ms(calls[name], repeats[name]))
    finally:
        if was_enabled:
            gc.enable()
    return spent_ms


def _time_ms(call: Call, repeats: int) -> float:
    """Milliseconds per call."""
    started = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - started) / repeats * 1e3


def row_of(case: Case, timings: Sequence[Timing], absent: Iterable[str]) -> Row:
    """Medians over the instances, and what follows from them; who answers wrong is never the best peer."""
    wrong: dict[str, str] = {}
    for timing in timings:
        wrong |= timing.wrong
    ms = {name: float(median(timing.ms[name] for timing in timings)) for name in timings[0].ms}
    ours_ms = ms.pop(OURS)
    beside_ms = {name: ms.pop(name) for name in timings[0].beside}
    facts = {name: median(timing.facts[name] for timing in timings) for name in timings[0].facts}
    limits = {
        name: {
            "value": _rounded(ours_ms / beside_ms[name] if name in beside_ms else facts[name]),
            "at_most": most,
        }
        for name, most in case.limits.items()
    }
    right = {name: value for name, value in ms.items() if name not in wrong}
    best = min(right, key=lambda name: right[name], default=None)
    ratio = None if best is None else right[best] / ours_ms
    form_ms = {name: float(median(timing.form_ms[name] for timing in timings)) for name in timings[0].form_ms}
    with_form_ms = min(
        (value + form_ms[name] for name, value in right.items() if name in form_ms), default=None
    )
    return {
        "case": case.name,
        "ours_ms": _rounded(ours_ms),
        "best_peer": best,
        "best_peer_ms": None if best is None else _rounded(right[best]),
        "ratio": None if ratio is None else _rounded(ratio),
        "floor": case.floor,
        "miss": (ratio is not None and case.floor is not None and ratio < case.floor)
        or any(limit["value"] > limit["at_most"] for limit in limits.values()),
        "peer_wins": ratio is not None and ratio < 1,
        "peers_ms": {name: _rounded(value) for name, value in sorted(ms.items(), key=lambda item: item[1])},
        "peers_form_ms": {name: _rounded(value) for name, value in form_ms.items()},
        "ratio_with_form": None if with_form_ms is None else _rounded(with_form_ms / ours_ms),
        "absent": sorted(absent),
        "wrong": wrong,
        "instances": len(timings),
        "beside_ms": {name: _rounded(value) for name, value in beside_ms.items()},
        "limits": limits,
        **{name: _rounded(value) for name, value in facts.items()},
    }


def _rounded(value: float) -> float:
    """Four significant digits: more would be noise."""
    return float(f"{value:.4g}")


def fails(row: Row) -> bool:
    """Whether a row is a reason for exit status 1: far off its floor or a limit, or an answer is wrong."""
    limits = row.get("limits", {}).values()
    if row.get("wrong") or any(
        limit["at_most"] < TOLERATED_SHARE_OF_FLOOR * limit["value"] for limit in limits
    ):
        return True
    floor, ratio = row.get("floor"), row.get("ratio")
    return floor is not None and ratio is not None and ratio < TOLERATED_SHARE_OF_FLOOR * floor


def remark(row: Row) -> str:
    """What is printed beside a row."""
    remarks = [f"WRONG: {name}: {what}" for name, what in row.get("wrong", {}).items()]
    if row.get("peer_wins"):
        remarks.append(f"{row['best_peer']} wins")
    for name, limit in row.get("limits", {}).items():
        if limit["value"] > limit["at_most"]:
            remarks.append(f"{name}: {number(limit['value'])}, at most {number(limit['at_most'])}")
    if row.get("miss"):
        remarks.append("miss")
    return ", ".join(remarks)


def number(value: float | None) -> str:
    """Three significant digits, without an exponent; nothing for None."""
    if value is None:
        return ""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


class Table(NamedTuple):
    """What is measured but no comparison of one time with others."""

    title: str
    header: tuple[str, ...]
    lines: list[tuple[str, ...]]
    note: str = ""


class Report:
    """Collects what a suite finds, printing each row as soon as it is there.

    Parameters
    ----------
    quick : bool
        Fewer rounds; suites take fewer instances.
    tiny : bool
        Suites take sizes that a test can afford; nothing of the times is worth reading then.
    out, progress : text streams, optional
        Where rows go (standard output) and where it is told what is being done (standard error).
    """

    def __init__(
        self,
        quick: bool = False,
        tiny: bool = False,
        out: TextIO | None = None,
        progress: TextIO | None = None,
    ) -> None:
        self.quick, self.tiny = quick or tiny, tiny
        self.pace = TINY if tiny else QUICK if quick else FULL
        self.rows: list[Row] = []
        self.tables: list[Table] = []
        self.notes: list[str] = []
        self._out, self._progress = out or sys.stdout, progress or sys.stderr
        self._told = 0

    def compare(self, case: Case) -> Row:
        """Time a case, and add and print its row."""
        timings, absent = [], set()
        for number_, make in enumerate(case.instances, 1):
            head = f"{case.name}, instance {number_} of {len(case.instances)}: "
            self.tell(head + "made")
            work = make()
            absent |= {name for name, call in work.peers.items() if call is None}
            timings.append(time_work(work, self.pace, lambda what, head=head: self.tell(head + what)))
            del work
        row = row_of(case, timings, absent)
        self.add(row)
        return row

    def add(self, row: Row) -> None:
        """Add and print a row that was measured elsewhere."""
        self.rows.append(row)
        self.tell("")
        if len(self.rows) == 1:
            self._print(
                f"{'case':38}{'ours ms':>10}{'best peer ms':>14}{'ratio':>8}{'floor':>7}  best peer, remark"
            )
        best = row.get("best_peer") or "no peer"
        notes = "; ".join(part for part in (best, remark(row)) if part)
        self._print(
            f"{row['case']:38}{number(row['ours_ms']):>10}{number(row.get('best_peer_ms')):>14}"
            f"{number(row.get('ratio')):>8}{number(row.get('floor')):>7}  {notes}"
        )

    def table(self, table: Table) -> None:
        """Add and print a further table."""
        self.tables.append(table)
        self.tell("")
        lines = [table.header, *table.lines]
        widths = [max(len(line[column]) for line in lines) for column in range(len(table.header))]
        self._print(f"\n{table.title}")
        for line in lines:
            cells = [line[0].ljust(widths[0])]
            cells += [text.rjust(width) for text, width in zip(line[1:], widths[1:], strict=True)]
            self._print("  ".join(cells).rstrip())
        if table.note:
            self._print(table.note)

    def note(self, text: str) -> None:
        """Add and print a line that belongs to the figures."""
        self.notes.append(text)
        self.tell("")
        self._print(text)

    def tell(self, what: str) -> None:
        """Show what is being done: on a terminal, always on the same line."""
        if self._progress.isatty():
            self._progress.write("\r" + what.ljust(self._told))
            self._progress.write("\r" if not what else "")
            self._told = len(what)
        elif what.endswith("made"):
            self._progress.write(what.removesuffix(": made") + "\n")
        self._progress.flush()

    def _print(self, text: str) -> None:
        print(text, file=self._out, flush=True)

    @property
    def absent(self) -> list[str]:
        """Peers that are not installed."""
        return sorted({name for row in self.rows for name in row.get("absent", ())})

    @property
    def exit_status(self) -> int:
        """1 if a row fails."""
        return int(any(fails(row) for row in self.rows))
