"""One run, with what a report says about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

from dispatch.analysis.kpi_list import KPIS
from dispatch.analysis.kpis import Kpis
from dispatch.engine.events import Events


class VoidFlags(TypedDict):
    """What a run cannot tell, as :func:`~dispatch.analysis.kpis.kpis` takes it."""

    travel_is_predicted: bool
    nobody_cancels: bool


@dataclass(frozen=True)
class RunRecord:
    """A finished or interrupted run.

    Notes
    -----
    Keys of `meta` that a report knows, all optional: ``city``, ``date`` (the local day, ``YYYY-MM-DD``),
    ``timezone`` (IANA name in which hours are told; the city's by default), ``policy``, ``seed``,
    ``orders``, ``orders_outside`` (left out because they lie outside of the city), ``drivers``,
    ``shifts``, ``window_s``, ``max_pickup_s``, ``slowdown`` (travel times over free-flow travel times),
    ``run_s``, ``wall_s``, ``compile_s``, ``event_log_sha256``, ``notes`` (list of str, shown
    prominently: what must be known to read the figures). Any other key is listed under its own name.
    """

    label: str
    """Short name in legends and columns"""
    meta: Mapping[str, object]
    events: Events
    kpis: Kpis
    partial: bool = False
    """The run was stopped before all orders reached a final state"""

    @property
    def void(self) -> VoidFlags:
        """The flags under which the KPIs were measured, to measure groups of orders alike.

        They show in the KPIs: what is void by construction was not measured.
        """
        nothing_driven = all(self.kpis[one.name] is None for one in KPIS if one.needs_driven_travel)
        nothing_cancelled = all(self.kpis[one.name] is None for one in KPIS if one.needs_cancelling)
        return {"travel_is_predicted": nothing_driven, "nobody_cancels": nothing_cancelled}
