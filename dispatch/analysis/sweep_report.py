"""One self-contained HTML page about a sweep, opened without a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Final

import dispatch
from dispatch.analysis.formatting import NOT_MEASURED
from dispatch.analysis.kpi_list import KPI, Kpi
from dispatch.analysis.page_file import json_for_script, page_part, plotly_source, write_whole
from dispatch.analysis.page_pieces import chart_place, settings_table
from dispatch.analysis.paired import Interval
from dispatch.analysis.report_tables import definitions, known
from dispatch.analysis.sweep_charts import MAX_LINES, Line, axis_key, figures
from dispatch.analysis.sweep_table import (
    MAIN_KPIS,
    SweepTable,
    difference_text,
    interval_note,
    size_text,
)
from dispatch.errors import InputError

BY_CHANCE_NOTE: Final = (
    "Where nothing differs, about one interval in {} still excludes 0: one mark among many is no proof."
)


def write_sweep_report(
    path: str | Path,
    table: SweepTable,
    settings: Mapping[str, object],
    *,
    notes: Sequence[str] = (),
    targets: Mapping[str, float] | None = None,
    answer: float | None = None,
) -> None:
    """Write the report of a sweep, or of a search for the size of a fleet.

    Parameters
    ----------
    path : str or Path
        HTML file to write; written whole or not at all.
    table : SweepTable
        At least one run.
    settings : mapping
        What all runs share, by name.
    notes : sequence of str
        What must be known to read the figures.
    targets : mapping of str to float, optional
        Values to be reached, by name of the KPI.
    answer : float, optional
        The least number along the axis that reaches the targets.

    Raises
    ------
    InputError
        There is no run to tell of.
    DispatchError
        Plotly is not installed.
    """
    if not table.kpis:
        raise InputError(f"the sweep of {table.scenario} has no finished run: there is nothing to report")
    targets = targets or {}
    names = [name for name in (*targets, *MAIN_KPIS) if KPI[name] in table.measured_kpis]
    kpis = [KPI[name] for name in dict.fromkeys(names)]
    drawn, lines = figures(table, kpis, targets, answer)
    along, several = axis_key(table), len(table.seeds) > 1
    shape = "the bands" if along else "the bars"
    page = Template(page_part("sweep.html")).substitute(
        title=escape(f"{table.scenario}: {' × '.join(table.keys) or 'seeds'}"),
        kind="Fleet size" if targets else "Sweep",
        heading=_heading(table),
        style=page_part("report.css"),
        size=_size(table),
        banner=_banner(table),
        notes=_notes([*notes, *_own_notes(table)]),
        charts_heading=f"Key figures by {escape(along)}" if along else "Key figures by variant",
        charts_lead=f"Means over seeds with their intervals, {shape}." if several else "",
        legend=_legend(lines, len(table.variants)),
        charts="".join(_chart_place(kpi, targets) for kpi in kpis),
        differences_heading=f"Differences to {escape(table.label(table.baseline_idx))}",
        differences_lead=_differences_lead(table),
        differences=_differences(table, kpis),
        means_lead="Mean over seeds ± half of its interval." if several else "Of one seed each.",
        means=_means(table, kpis, "mean"),
        all_means=_means(table, table.measured_kpis, "all"),
        settings=settings_table(settings),
        definitions=definitions(),
        version=dispatch.__version__,
        plotly=plotly_source(),
        data=json_for_script({"background": "", "figures": drawn}),
        script=page_part("report.js"),
    )
    write_whole(Path(path), page)


def _heading(table: SweepTable) -> str:
    varied = " × ".join(table.keys) or "seeds"
    parts = (table.scenario, varied)
    return " · ".join(f'<span class="whole">{escape(part)}</span>' for part in parts)


def _size(table: SweepTable) -> str:
    counts = {"variant": len(table.variants), "seed": len(table.seeds), "run": len(table.kpis)}
    told = [f"{num:,} {what}{'' if num == 1 else 's'}" for what, num in counts.items()]
    return "".join(f"<span>{one}</span>" for one in told)


def _banner(table: SweepTable) -> str:
    if not table.num_missing:
        return ""
    return (
        f'<div class="banner" role="alert">Incomplete: {table.num_missing:,} runs are missing. Means are '
        "over the seeds that were run, differences over those that both have.</div>"
    )


def _own_notes(table: SweepTable) -> list[str]:
    told = [interval_note(table)]
    if len(table.seeds) > 1:
        told.append(BY_CHANCE_NOTE.format(round(1 / (1 - table.confidence))))
    return told


def _notes(notes: Sequence[str]) -> str:
    lines = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<div class="notes" role="note"><ul>{lines}</ul></div>'


def _legend(lines: Sequence[Line], num_variants: int) -> str:
    told = [
        f'<span><i class="stroke {line.dash}" style="--run:{line.colour}"></i>{line.label}</span>'
        for line in lines
        if line.label
    ]
    shown = sum(len(line.variants) for line in lines)
    if shown < num_variants:
        told.append(f"<span>and others: charts show {MAX_LINES} lines, tables show all</span>")
    return f'<p class="legend">{"".join(told)}</p>' if told else ""


def _chart_place(kpi: Kpi, targets: Mapping[str, float]) -> str:
    aim = ""
    if kpi.name in targets:
        sign = "≥" if kpi.better == "up" else "≤"
        aim = f' <span class="aim">to be {sign} {escape(kpi.format(targets[kpi.name]))}</span>'
    label = f"{kpi.label}, means with intervals"
    return f"<div><h3>{known(kpi, 'chart-of')}{aim}</h3>{chart_place(f'chart-{kpi.name}', label)}</div>"


def _differences_lead(table: SweepTable) -> str:
    if len(table.variants) == 1:
        return "There is one variant only: nothing to compare."
    if len(table.seeds) == 1:
        return "Of one seed each: without intervals, since one seed cannot tell chance from effect."
    return (
        f"Each variant minus the baseline with the same seed: the mean over {len(table.seeds)} seeds ± half "
        f"of its {100 * table.confidence:.4g} % interval. Marked where the interval excludes 0: ▲ better, "
        "▼ worse, ● where neither way is."
    )


def _differences(table: SweepTable, kpis: Sequence[Kpi]) -> str:
    rows = [
        (row, [_difference_cell(kpi, table.difference(row, kpi.name)) for kpi in kpis])
        for row in range(len(table.variants))
        if row != table.baseline_idx
    ]
    return _table(table, kpis, "difference", rows) if rows else ""


def _difference_cell(kpi: Kpi, found: Interval) -> str:
    if found.mean is None:
        return f'<td class="none">{NOT_MEASURED}</td>'
    text = escape(difference_text(kpi, found.mean))
    if found.low is None:
        return f"<td>{text}</td>"
    interval = f'<span class="ends">± {escape(size_text(kpi, found.half_width))}</span>'
    if not found.excludes_zero:
        return f'<td>{text}<span class="mark"></span>{interval}</td>'
    is_up = found.mean > 0
    sign, title = "●", "differs"
    if kpi.better is not None:
        sign, title = ("▲", "better") if is_up == (kpi.better == "up") else ("▼", "worse")
    return f'<td class="better">{text}<span class="mark {title}" title="{title}">{sign}</span>{interval}</td>'


def _means(table: SweepTable, kpis: Sequence[Kpi], where: str) -> str:
    rows = [
        (row, [_mean_cell(kpi, table.interval(row, kpi.name)) for kpi in kpis])
        for row in range(len(table.variants))
    ]
    return _table(table, kpis, where, rows)


def _mean_cell(kpi: Kpi, found: Interval) -> str:
    if found.mean is None:
        return f'<td class="none">{NOT_MEASURED}</td>'
    half = f'<span class="ends">± {escape(size_text(kpi, found.half_width))}</span>'
    return f"<td>{escape(kpi.format(found.mean))}{half if found.low is not None else ''}</td>"


def _table(
    table: SweepTable, kpis: Sequence[Kpi], where: str, rows: Sequence[tuple[int, Sequence[str]]]
) -> str:
    """Give a table with a row for each variant: its values of the keys, and a cell for each KPI."""
    keys = table.keys or ("scenario",)
    heads = [f'<th scope="col" class="key">{escape(key)}</th>' for key in keys]
    heads += [f'<th scope="col">{known(kpi, where)}</th>' for kpi in kpis]
    body = []
    for row, cells in rows:
        mark = " (baseline)" if row == table.baseline_idx and len(table.variants) > 1 else ""
        names = [f'<th scope="row" class="key">{escape(value)}</th>' for value in table.names(row)]
        names[-1] = names[-1].replace("</th>", f"{mark}</th>")
        body.append(f"<tr>{''.join(names)}{''.join(cells)}</tr>")
    return (
        f'<div class="scroll"><table class="wide"><thead><tr>{"".join(heads)}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )
