"""Compile all kernels ahead of their first call: on all cores, by processes that share numba's disk cache."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

from dispatch.kernels.jit import Kernel, load_all
from dispatch.kernels.shared_cache import CAN_SHARE

MOST_PROCESSES = 8
"""Each takes 300 MB, and the largest kernel a tenth of all time: more would wait for it."""
_CODE = "from dispatch.kernels import warming; warming.end_with_parent(); warming.compile_share({!r})"
_EVERY_S = 0.05

Tell = Callable[[str, int, int], None]


def warm_up(on_kernel: Tell | None = None, *, processes: int | None = None) -> float:
    """Compile every registered signature, or load it from numba's disk cache.

    Parameters
    ----------
    on_kernel : callable, optional
        Called with ``(name, done, total)`` before each kernel and once at the end.
    processes : int, optional
        At most so many compile, this one included, of which the others are started once a kernel is not in
        the cache, and have ended afterwards. Default: one for each core, at most :data:`MOST_PROCESSES`.

    Returns
    -------
    float
        Seconds that it took.
    """
    started = time.perf_counter()
    tell = on_kernel or _say_nothing
    kernels = _with_signatures()
    num_helpers = (_num_cores() if processes is None else processes) - 1 if CAN_SHARE else 0
    with tempfile.TemporaryDirectory(prefix="dispatch-kernels-") as folder, _Helpers(folder) as helpers:
        share = Path(folder)
        for one in _claimed(share, kernels):
            tell(one.name, _num_claimed(share) - 1, len(kernels))
            if _compile(one) and not helpers.are_started:
                helpers.start(num_helpers)
        while helpers.are_busy():
            tell("", _num_claimed(share) - 1, len(kernels))
            time.sleep(_EVERY_S)
    for one in kernels:  # what the others compiled, or left undone
        _compile(one)
    tell("", len(kernels), len(kernels))
    return time.perf_counter() - started


def compile_share(folder: str) -> None:
    """Compile kernels that no other process has claimed in `folder`, for the cache."""
    for one in _claimed(Path(folder), _with_signatures()):
        _compile(one)


def end_with_parent() -> None:
    """End this process when the one that started it has ended, however: the pipe between them closes then."""

    def wait() -> None:  # pragma: no cover - ends the process that would count it
        os.read(0, 1)  # nothing is ever written: it is the end of the pipe
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


class _Helpers:
    """Processes that compile; they end with the context, whatever ends it."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []
        self.are_started = False

    def __enter__(self) -> _Helpers:
        """Start none yet: perhaps all is in the cache."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End those that still run."""
        for one in self._running:
            one.kill()
            one.communicate()

    def start(self, num: int) -> None:
        """Start some. What they would say of an error, this process says when it compiles the same itself."""
        self.are_started = True
        if not sys.executable:  # Python is embedded in another program
            return
        paths = (path or str(Path.cwd()) for path in sys.path)
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
        for _ in range(num):
            self._running.append(
                subprocess.Popen(
                    # -P: not the package that may lie in the current folder, with a cache of its own
                    [sys.executable, "-P", "-c", _CODE.format(self._folder)],
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )

    def are_busy(self) -> bool:
        """Tell whether any still runs."""
        return any(one.poll() is None for one in self._running)


def _say_nothing(*_: object) -> None:
    """Tell nobody."""


def _num_cores() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_PROCESSES)


def _with_signatures() -> list[Kernel]:
    return [one for one in load_all().values() if one.signatures]


def _claimed(share: Path, kernels: Sequence[Kernel]) -> Iterator[Kernel]:
    """Give kernels one after the other, each to one process only."""
    for row, one in enumerate(kernels):
        try:
            (share / str(row)).touch(exist_ok=False)
        except FileExistsError:
            continue
        yield one


def _num_claimed(share: Path) -> int:
    return sum(1 for _ in share.iterdir())


def _compile(one: Kernel) -> bool:
    """Compile or load all signatures; tell whether one was not in the cache."""
    if not hasattr(one.function, "compile"):  # absent under NUMBA_DISABLE_JIT=1
        return False
    misses = sum(one.function.stats.cache_misses.values())
    for signature in one.signatures:
        one.function.compile(signature)
    return sum(one.function.stats.cache_misses.values()) > misses
