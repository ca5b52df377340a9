"""How long kernels take that Python calls."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FunctionType
from typing import Any

from dispatch.kernels.jit import Kernel, entry_point, load_all
from dispatch.kernels.warming import warm_up


class Stopwatch:
    """What kernels took that Python called while a :func:`stopwatch` ran."""

    def __init__(self) -> None:
        self._spent: dict[str, list[Any]] = {}
        self._is_inside = False

    @property
    def seconds(self) -> dict[str, float]:
        """By the name of each kernel that was called."""
        return {name: spent for name, (spent, calls) in self._spent.items() if calls}

    @property
    def calls(self) -> dict[str, int]:
        """By the name of each kernel that was called."""
        return {name: calls for name, (_, calls) in self._spent.items() if calls}

    @property
    def total_s(self) -> float:
        """Seconds of all kernels."""
        return sum(self.seconds.values())

    def timed(self, one: Kernel) -> Callable[..., Any]:
        """Give a kernel's function with its time taken."""
        function, clock = one.function, time.perf_counter
        spent = self._spent.setdefault(one.name, [0.0, 0])

        def call(*words: Any) -> Any:
            started = clock()
            try:
                return function(*words)
            finally:
                spent[0] += clock() - started
                spent[1] += 1

        def call_as_plain_python(*words: Any) -> Any:
            if self._is_inside:  # a kernel calls others by way of their modules
                return function(*words)
            self._is_inside = True
            try:
                return call(*words)
            finally:
                self._is_inside = False

        return call_as_plain_python if isinstance(function, FunctionType) else call


@contextmanager
def stopwatch() -> Iterator[Stopwatch]:
    """Time every kernel with signatures that Python calls, on one thread, until the context ends.

    Where a loaded module of the package holds such a kernel, it holds a timing stand-in meanwhile. A
    kernel's time is all that Python waits for: that numba reads its arguments, and the kernels that it
    calls; those that were asked for by :func:`direct` before are timed, too. Not seen are helpers without
    signatures, and what is kept elsewhere than in a module: these count as Python. A call costs about
    0.2 µs more.

    Yields
    ------
    Stopwatch
        Filled as kernels run.
    """
    warm_up()  # what is compiled while stand-ins are in place would meet them
    watch = Stopwatch()
    kernels = [one for one in load_all().values() if one.signatures]
    stand_ins = [(one.function, watch.timed(one)) for one in kernels]
    _exchange({id(function): stand_in for function, stand_in in stand_ins})
    directly = [one for one in kernels if "direct" in vars(one)]
    try:
        for one in directly:
            one.direct.call = watch.timed(replace(one, function=entry_point(one.name)))
        yield watch
    finally:
        for one in directly:
            one.direct.call = entry_point(one.name)
        # Searched anew: a module that was first loaded meanwhile holds stand-ins too.
        _exchange({id(stand_in): function for function, stand_in in stand_ins})


def _exchange(new_of: dict[int, Any]) -> None:
    """Put others in the place of some values, by ``id``, wherever a module of the package holds them."""
    package = __package__.partition(".")[0]
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == package:
            for attribute, value in list(vars(module).items()):
                if id(value) in new_of:
                    setattr(module, attribute, new_of[id(value)])
