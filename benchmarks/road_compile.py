"""How long the kernels of the roads take to compile, and to load from the cache: each in a fresh process."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from benchmarks.harness import Table
from benchmarks.process import ROOT

NEIGHBOUR_SEARCH = ("geo", "grid", "grid_order", "grid_search", "grid_moves", "edge_grid")
"""Modules that snapping brings along, no part of a hierarchy."""


def compile_table(tell: Callable[[str], None]) -> Table:
    """Seconds by module of kernels: with an empty cache, and once more with what that left."""
    with tempfile.TemporaryDirectory() as cache:
        tell("compile the kernels of the roads: made")
        compiled, loaded = _in_child(cache), _in_child(cache)
    lines = [(name, f"{compiled[name]:.2f}", f"{loaded[name]:.2f}") for name in compiled]
    hierarchy = [name for name in compiled if name not in NEIGHBOUR_SEARCH]
    for what, names in (("all but neighbour search", hierarchy), ("all", list(compiled))):
        lines.append((what, *(f"{sum(map(times.get, names)):.2f}" for times in (compiled, loaded))))
    note = (
        "All kernels that `import dispatch.roads.road_network` brings along; what several modules call "
        "counts for the first that does."
    )
    return Table("First start and later ones, s", ("", "compiled", "from the cache"), lines, note)


def _in_child(cache: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.road_compile"]
    environment = os.environ | {"NUMBA_CACHE_DIR": cache}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout)


def main() -> None:
    """Print the seconds of importing, and of each module's registered signatures."""
    started = time.perf_counter()
    import dispatch.roads.road_network  # noqa: F401, an import is what is timed
    from dispatch.kernels.jit import KERNELS

    spent_s = {"import": time.perf_counter() - started}
    for name, one in KERNELS.items():
        module = name.partition(".")[0]
        started = time.perf_counter()
        for signature in one.signatures:
            one.function.compile(signature)
        spent_s[module] = spent_s.get(module, 0.0) + time.perf_counter() - started
    print(json.dumps(spent_s))


if __name__ == "__main__":
    main()
