"""The ``dispatch`` command."""

from dispatch.cli import (  # noqa: F401 - importing them registers their commands
    city,
    community,
    crm,
    crm_data,
    crm_lists,
    crm_people,
    crm_report,
    eta,
    fleet_size,
    scenario,
    simulate,
    sweep,
    warm_up,
)
from dispatch.cli.command import app, main

__all__ = ["app", "main"]
