"""The ``dispatch`` command."""

from dispatch.cli import city, scenario, simulate, warm_up  # noqa: F401 - importing them registers their commands
from dispatch.cli.command import app, main

__all__ = ["app", "main"]
