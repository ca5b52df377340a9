"""Key figures of a run, each defined in :mod:`dispatch.analysis.kpi_list`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dispatch.analysis.kpi_list import KPI, KPIS
from dispatch.analysis.measured import measured
from dispatch.engine.events import Events


@dataclass(frozen=True, eq=False)
class Kpis(Mapping[str, float | None]):
    """Values of all :data:`KPIS` by name; ``None`` where not measurable, never NaN.

    ``kpis["golden5_share"]`` and ``kpis.golden5_share`` are the same value.
    """

    value_of_name: Mapping[str, float | None]

    def __getitem__(self, name: str) -> float | None:
        """Value of the KPI of this name."""
        return self.value_of_name[name]

    def __getattr__(self, name: str) -> float | None:
        """Value of the KPI of this name."""
        if name in KPI:
            return self.value_of_name[name]
        raise AttributeError(f"there is no KPI {name!r}")

    def __iter__(self) -> Iterator[str]:
        """Names in the order of tables."""
        return iter(self.value_of_name)

    def __len__(self) -> int:
        """Number of KPIs."""
        return len(self.value_of_name)


def kpis(events: Events, *, travel_is_predicted: bool = False, nobody_cancels: bool = False) -> Kpis:
    """Measure every KPI that the log gives.

    Parameters
    ----------
    events : (events,) EVENT_DTYPE
        A legal log from its beginning; it may end anywhere, and be empty.
    travel_is_predicted : bool
        Drivers moved exactly as the ETA predicted, as in a plain simulation: pickup ETA errors are
        then ``None``, because they would measure nothing.
    nobody_cancels : bool
        No customer and no driver ever cancels, as in a simulation without such behaviour: shares of
        cancelled orders and of assignments undone are then ``None``, because they would be 0 by
        construction.

    Returns
    -------
    Kpis
        Values by name, in the order of :data:`KPIS`.

    Raises
    ------
    InputError
        As of :func:`~dispatch.analysis.order_table.order_table`.
    """
    tables = measured(events)

    void = {"travel_is_predicted": travel_is_predicted, "nobody_cancels": nobody_cancels}
    return Kpis({one.name: None if one.is_void(**void) else one.measure(tables) for one in KPIS})
