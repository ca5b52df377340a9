"""One run, with what a report says about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dispatch.analysis.kpis import Kpis
from dispatch.engine.events import Events


@dataclass(frozen=True)
class RunRecord:
    """A finished or interrupted run.

    Notes
    -----
    Keys of `meta` that a report knows, all optional: ``date`` (the local day, ``YYYY-MM-DD``),
    ``policy``, ``seed``, ``num_orders``, ``num_orders_outside`` (left out because they lie outside of
    the city), ``num_drivers``, ``batch_window_s``, ``max_pickup_s``, ``slowdown`` (factor on free-flow
    travel times), ``wall_s``, ``compile_s``, ``notes`` (list of str, shown prominently: what must be
    known to read the figures). Any other key is listed under its own name.
    """

    label: str
    """Short name in legends and columns"""
    meta: Mapping[str, object]
    events: Events
    kpis: Kpis
    partial: bool = False
    """The run was stopped before all orders reached a final state"""
