"""Several processes write numba's cache on disk: one after the other.

Numba reads the index of a function, chooses the number of a new file, and writes both; where two processes do
so at the same moment for different types, an index may name the file of other types, and memory is
overwritten by whoever loads it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: numba's own care must do
    fcntl = None  # type: ignore[assignment]  # tested where it is used

CAN_SHARE = fcntl is not None
"""Whether several processes may fill the cache at once."""
LOCK_NAME = "dispatch.lock"


def save_in_turn(compiled: Any) -> None:
    """Let a compiled function write to the cache only while no other process does."""
    cache = getattr(compiled, "_cache", None)
    if CAN_SHARE and hasattr(cache, "save_overload"):  # pragma: no cover - not under NUMBA_DISABLE_JIT=1
        save = cache.save_overload

        def save_overload(signature: Any, data: Any) -> None:
            with _turn(cache.cache_path):
                save(signature, data)

        cache.save_overload = save_overload


@contextmanager
def _turn(folder: str) -> Iterator[None]:
    """Hold the folder's lock; where its file can be neither made nor read, go on as numba does, without."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        # To read is enough for a lock: another user's file serves, too.
        lock = os.open(Path(folder) / LOCK_NAME, os.O_RDONLY | os.O_CREAT, 0o666)
    except OSError:
        yield
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
