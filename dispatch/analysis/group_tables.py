"""Tables of a report: key figures by membership tier, and of first orders."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from dispatch.analysis.charts import RunTables
from dispatch.analysis.comparison import change
from dispatch.analysis.formatting import NOT_MEASURED, format_count
from dispatch.analysis.groups import By, KpiGroups, has_first_orders, has_tiers, kpis_by
from dispatch.analysis.kpi_list import KPI, Kpi
from dispatch.analysis.report_tables import known, run_name
from dispatch.analysis.series import MIN_ORDERS

SHOWN: Final = (
    "completion_share",
    "golden5_share",
    "response_p50_s",
    "response_p90_s",
    "golden10_share",
    "wait_p50_s",
    "wait_p90_s",
    "far_pickup_share",
    "eta_regret_p90_s",
    "customer_cancel_share",
    "processing_mean_s",
)
"""What customers feel; those that were not measured are left out."""
_FIRST_LEAD: Final = "Orders of customers new to the service; in small print: the difference to later orders."
_PRIORITY_KPI: Final = "priority_wait_max_s"


def group_section(tables: Sequence[RunTables]) -> str:
    """Give the part about tiers and first orders; empty where no log tells of them."""
    tiers = [one for one in tables if has_tiers(one.orders)]
    firsts = [one for one in tables if has_first_orders(one.orders)]
    parts = []
    if tiers:
        parts.append("<h3>By membership tier</h3>")
        parts.append('<p class="lead">In small print: the difference to the lowest tier.</p>')
        parts += [_captioned(one, "tier", len(tables)) + _priority(one) for one in tiers]
    if firsts:
        parts.append("<h3>First orders</h3>")
        parts.append(f'<p class="lead">{_FIRST_LEAD}</p>')
        parts += [_captioned(one, "first", len(tables)) for one in firsts]
    if not parts:
        return ""
    return f"<section><h2>Tiers and first orders</h2>{''.join(parts)}</section>"


def _captioned(one: RunTables, by: By, num_runs: int) -> str:
    groups = kpis_by(one.run.events, by, **one.run.void)
    caption = f"<caption>{run_name(one, 'span')}</caption>" if num_runs > 1 else ""
    where = f"{by}-{one.dash}"
    return group_table(groups, caption, where)


def group_table(groups: KpiGroups, caption: str, where: str) -> str:
    """Give one column a group; values of few orders are faded.

    Parameters
    ----------
    groups : KpiGroups
        The first group is what the others are compared with.
    caption : str
        HTML, or nothing.
    where : str
        Tells this table's ids from those of others.
    """
    heads = "".join(
        f'<th scope="col">{escape(name)}<span class="size">{format_count(num)} orders</span></th>'
        for name, num in zip(groups.group, groups.num_orders.tolist(), strict=True)
    )
    measured = [name for name in SHOWN if any(value is not None for value in groups.value_of_kpi[name])]
    rows = "".join(_row(KPI[name], groups, where) for name in measured)
    return (
        f'<div class="scroll"><table class="groups">{caption}<thead><tr><th scope="col">Key figure</th>'
        f"{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(kpi: Kpi, groups: KpiGroups, where: str) -> str:
    values = groups.value_of_kpi[kpi.name]
    cells = []
    for at, (value, num_orders) in enumerate(zip(values, groups.num_orders.tolist(), strict=True)):
        words = kpi.format(value)
        style = ' class="none"' if words == NOT_MEASURED or num_orders < MIN_ORDERS else ""
        by = change(kpi, values[0], value)
        small = "" if at == 0 or by.text == NOT_MEASURED else f'<span class="by">{escape(by.text)}</span>'
        cells.append(f"<td{style}>{escape(words)}{small}</td>")
    return f'<tr><th scope="row">{known(kpi, where)}</th>{"".join(cells)}</tr>'


def _priority(one: RunTables) -> str:
    kpi = KPI[_PRIORITY_KPI]
    value = one.run.kpis[_PRIORITY_KPI]
    return f'<p class="aside"><b>{escape(kpi.label)}: {kpi.format(value)}.</b> {escape(kpi.definition)}</p>'
