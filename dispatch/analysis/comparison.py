"""Before and after: what changed between the first run and each other one, overall and hour by hour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from dispatch.analysis.charts import Figure, RunTables, layout
from dispatch.analysis.formatting import NOT_MEASURED, format_points, format_share
from dispatch.analysis.groups import KpiGroups
from dispatch.analysis.kpi_list import KPI, Kpi
from dispatch.analysis.report_tables import known, run_name
from dispatch.analysis.series import MIN_ORDERS

COMPARED: Final = (
    "completion_share",
    "golden5_share",
    "response_p50_s",
    "response_p90_s",
    "golden10_share",
    "wait_p50_s",
    "wait_p90_s",
    "far_pickup_share",
    "eta_regret_p90_s",
    "expired_share",
    "customer_cancel_share",
    "processing_mean_s",
    "pickup_km_per_order",
    "empty_km_share",
    "utilisation_share",
    "driver_income_mean_cents_per_h",
    "driver_income_gini",
)
"""What a change is judged by; those that no run measured are left out."""
_HOUR_KPI: Final = "wait_p50_s"
_S_PER_MIN: Final = 60


@dataclass(frozen=True)
class Change:
    """How one KPI changed from the first run to another one."""

    text: str
    """The difference as people read it, ``±0`` where both look alike"""
    arrow: str
    """``▲`` or ``▼`` where it rose or fell, else nothing"""
    verdict: str
    """``better``, ``worse`` or nothing"""


def change(kpi: Kpi, before: float | None, after: float | None) -> Change:
    """Tell the difference of two values, and whether it is for the better."""
    if before is None or after is None:
        return Change(NOT_MEASURED, "", "")
    if kpi.format(before) == kpi.format(after):
        return Change("±0", "", "")
    by = after - before
    if kpi.format is format_share:
        # Of the values as shown: 2.6 % and 2.7 % differ by 0.1 points, never by 0.0.
        by = (round(100 * after, 1) - round(100 * before, 1)) / 100
    sign, arrow = ("+", "▲") if by > 0 else ("−", "▼")
    text = format_points(by) if kpi.format is format_share else sign + kpi.format(abs(by))
    return Change(text, arrow, _verdict(kpi, by))


def _verdict(kpi: Kpi, by: float) -> str:
    if kpi.better is None or by == 0:
        return ""
    return "better" if (by > 0) == (kpi.better == "up") else "worse"


def paired_hours(kpi: Kpi, before: KpiGroups, after: KpiGroups) -> tuple[int, int, int] | None:
    """Count the hours of day in which a KPI was better, worse and alike.

    Only hours count in which both runs had at least ``MIN_ORDERS`` orders and the KPI was measured.

    Returns
    -------
    (better, worse, alike) or None
        ``None`` where neither way is better, or no hour counts.
    """
    pairs = _pairs(kpi.name, before, after)
    if kpi.better is None or not pairs:
        return None
    verdicts = [
        "" if kpi.format(one) == kpi.format(other) else _verdict(kpi, other - one) for _, one, other in pairs
    ]
    return verdicts.count("better"), verdicts.count("worse"), verdicts.count("")


def _pairs(name: str, before: KpiGroups, after: KpiGroups) -> list[tuple[int, float, float]]:
    """Hours that both runs measured, with both values."""
    value_of_hour: list[dict[int, float]] = []
    for groups in (before, after):
        columns = (groups.key.tolist(), groups.num_orders.tolist(), groups.value_of_kpi[name])
        value_of_hour.append(
            {
                hour: value
                for hour, num_orders, value in zip(*columns, strict=True)
                if num_orders >= MIN_ORDERS and value is not None
            }
        )
    one, other = value_of_hour
    return [(hour, one[hour], other[hour]) for hour in sorted(one.keys() & other.keys())]


def comparison_table(tables: Sequence[RunTables], by_hour: Sequence[KpiGroups]) -> str:
    """Give one row a KPI: the first run's value, and each other run's with its change and paired hours."""
    heads = "".join(f'<th scope="col">{run_name(one, "span")}</th>' for one in tables)
    measured = [name for name in COMPARED if any(one.run.kpis[name] is not None for one in tables)]
    rows = "".join(_row(KPI[name], tables, by_hour) for name in measured)
    return (
        '<div class="scroll"><table class="changes"><thead><tr><th scope="col">Key figure</th>'
        f"{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(kpi: Kpi, tables: Sequence[RunTables], by_hour: Sequence[KpiGroups]) -> str:
    before = tables[0].run.kpis[kpi.name]
    cells = [f"<td>{escape(kpi.format(before))}</td>"]
    for one, hours in zip(tables[1:], by_hour[1:], strict=True):
        after = one.run.kpis[kpi.name]
        told = _change_words(change(kpi, before, after)) + _paired_words(paired_hours(kpi, by_hour[0], hours))
        cells.append(f"<td>{escape(kpi.format(after))}{told}</td>")
    return f'<tr><th scope="row">{known(kpi, "change")}</th>{"".join(cells)}</tr>'


def _change_words(one: Change) -> str:
    if one.text == NOT_MEASURED:
        return ""
    arrow = f'<span aria-hidden="true">{one.arrow}</span> ' if one.arrow else ""
    return f'<span class="change {one.verdict}">{arrow}{escape(f"{one.text} {one.verdict}".strip())}</span>'


def _paired_words(paired: tuple[int, int, int] | None) -> str:
    if paired is None:
        return ""
    better, worse, _ = paired
    return f'<span class="by">{better} h better, {worse} h worse of {sum(paired)} h</span>'


def hourly_difference(tables: Sequence[RunTables], by_hour: Sequence[KpiGroups]) -> Figure:
    """Bars of the difference in median wait to the first run, hour by hour, minutes."""
    traces: list[Figure] = []
    for one, hours in zip(tables[1:], by_hour[1:], strict=True):
        pairs = _pairs(_HOUR_KPI, by_hour[0], hours)
        text: list[Any] = [
            f"{KPI[_HOUR_KPI].format(before)} → {KPI[_HOUR_KPI].format(after)}" for _, before, after in pairs
        ]
        traces.append(
            {
                "type": "bar",
                "x": [hour for hour, _, _ in pairs],
                "y": [round((after - before) / _S_PER_MIN, 2) for _, before, after in pairs],
                "name": one.name,
                "customdata": text,
                "marker": {"color": one.colour},
                "hovertemplate": "%{x:02d} h: %{y:+.1f} min, %{customdata}",
            }
        )
    ticks = list(range(0, 24, 3))
    axis = {"range": [-0.6, 23.6], "tickvals": ticks, "ticktext": [f"{hour:02d}" for hour in ticks]}
    first = tables[0].name
    return {
        "data": traces,
        "layout": layout(
            "local hour of the request",
            "median wait, min more",
            xaxis=axis,
            yaxis={"zeroline": True, "zerolinecolor": "#7b8794", "zerolinewidth": 1.5},
            hovermode="closest",
            height=260,
            barmode="group",
            bargap=0.25,
            meta=f"against {first}",
        ),
    }
