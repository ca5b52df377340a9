"""Runs one after another in this process, or side by side in processes of their own."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import TYPE_CHECKING, Final

from dispatch.analysis.sweep_table import Value
from dispatch.errors import DispatchError
from dispatch.limits import check_whole
from dispatch.sim.scenario_build import CityCache
from dispatch.sim.scenario_file import ScenarioFile
from dispatch.sim.sweep_store import StoredRun

if TYPE_CHECKING:
    from dispatch.sim.runner import Progress

MAX_JOBS: Final = 256
_ASK_EVERY_S: Final = 0.1
_END_WITHIN_S: Final = 5.0
_DIED: Final = (
    "a process that makes runs has ended without a result: what it wrote above says why; if nothing, memory "
    "may have run out: try fewer jobs"
)


@dataclass(frozen=True)
class Task:
    """A run to make."""

    run_id: str
    scenario: ScenarioFile
    """with all values of the variant"""
    values: Mapping[str, Value]
    """those that were varied"""
    seed: int


OnShare = Callable[[str, float], None]
"""Called with a run's ``run_id`` and how much of it is done, from 0 to 1."""


class Workers:
    """Those who make runs, with the cities that they have read; a context, at whose end they end.

    Parameters
    ----------
    jobs : int
        Processes, started when needed; with 1 the runs are made in this one. The results are the same.
    """

    def __init__(self, jobs: int = 1) -> None:
        check_whole("jobs", jobs, 1, MAX_JOBS)
        self._jobs = jobs
        self._cities: CityCache = {}
        self._processes: list[SpawnProcess] = []
        self._idle: list[Connection] = []
        self._busy: list[Connection] = []

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pipe in (*self._idle, *self._busy):
            pipe.close()
        for process in self._processes:
            # They own no file: nothing is half written.
            process.terminate()
        for process in self._processes:
            process.join(_END_WITHIN_S)
            if process.is_alive():  # pragma: no cover - only where a signal cannot be delivered
                process.kill()

    def make_runs(
        self,
        tasks: Sequence[Task],
        on_share: OnShare = lambda _run_id, _share: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[StoredRun]:
        """Make runs, and give each as soon as it is finished.

        Parameters
        ----------
        tasks : sequence of Task
        on_share : callable, optional
        should_stop : callable, optional
            Asked again and again; true ends all at once, runs under way are lost.

        Raises
        ------
        DispatchError
            A run failed; those under way beside it are lost, and no more can be made.
        """
        if self._jobs == 1:
            for task in tasks:
                run = None if should_stop() else _make_run(task, self._cities, on_share, should_stop)
                if run is None:
                    return
                yield run
            return
        waiting = deque(tasks)
        self._start(min(self._jobs, len(tasks)) - len(self._processes))
        while waiting or self._busy:
            while self._idle and waiting:
                pipe = self._idle.pop()
                self._busy.append(pipe)
                try:
                    pipe.send(waiting.popleft())
                except ConnectionError as error:
                    raise DispatchError(_DIED) from error
            ready = wait(self._busy, _ASK_EVERY_S)
            if should_stop():
                return
            for pipe in [pipe for pipe in self._busy if pipe in ready]:
                told = _received(pipe)
                if isinstance(told, tuple):
                    on_share(*told)
                    continue
                self._busy.remove(pipe)
                self._idle.append(pipe)
                if isinstance(told, DispatchError):
                    raise told
                yield told

    def _start(self, num: int) -> None:
        """Start more processes; spawned, not forked: a fork would copy locks that threads hold."""
        context = multiprocessing.get_context("spawn")
        with _deaf_to_interrupts():
            for _ in range(num):
                pipe, far_end = context.Pipe()
                process = context.Process(target=_work, args=(far_end,), daemon=True)
                process.start()
                # Only the process holds its end now: when it ends, this side learns of it.
                far_end.close()
                self._processes.append(process)
                self._idle.append(pipe)


def _make_run(
    task: Task, cities: CityCache, on_share: OnShare, should_stop: Callable[[], bool]
) -> StoredRun | None:
    """Make one run; None where it was stopped."""
    from dispatch.sim.runner import run
    from dispatch.sim.summary import run_record

    started = time.perf_counter()
    scenario = task.scenario.build(task.seed, cities)
    prepare_s = time.perf_counter() - started
    next_told_s = 0.0

    def tell(state: Progress) -> None:
        nonlocal next_told_s
        now_s = time.perf_counter()
        if now_s >= next_told_s:
            next_told_s = now_s + _ASK_EVERY_S
            on_share(task.run_id, state.num_finished / state.num_orders)

    made = run(scenario, tell, should_stop)
    if made.partial:
        return None
    record = run_record(made, prepare_s, 0.0)
    meta = record.meta
    return StoredRun(
        task.run_id,
        task.seed,
        task.values,
        len(scenario.orders),
        scenario.shifts.num_drivers,
        dict(record.kpis),
        str(meta["event_log_sha256"]),
        round(prepare_s, 3),
        round(made.wall_s, 3),
    )


def _received(pipe: Connection) -> StoredRun | tuple[str, float] | DispatchError:
    try:
        told: StoredRun | tuple[str, float] | DispatchError = pipe.recv()
    except (EOFError, ConnectionError) as error:
        raise DispatchError(_DIED) from error
    return told


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Start processes that ignore Ctrl-C, which a terminal sends to all: this one tells them when to end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _work(pipe: Connection) -> None:
    """Make runs as they are asked for, until the other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cities: CityCache = {}
    try:
        while True:
            task: Task = pipe.recv()
            try:
                told: object = _make_run(
                    task, cities, lambda name, share: pipe.send((name, share)), lambda: False
                )
            except DispatchError as error:
                told = error
            pipe.send(told)
    except (EOFError, ConnectionError):
        return  # the process that asked has ended
