"""``dispatch warm-up``."""

from __future__ import annotations

from dispatch.cli.command import app
from dispatch.cli.console import compile_kernels, out


@app.command()
def warm_up() -> None:
    """Compile all kernels now; later starts load them from numba's cache in a second or two."""
    out.print(f"{compile_kernels():.1f} s for all kernels")
