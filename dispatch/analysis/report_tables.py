"""The parts of a report that are words and numbers, as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from dispatch.analysis.charts import STATE_COLOURS, STATE_LABELS, RunTables
from dispatch.analysis.formatting import NOT_MEASURED, format_count
from dispatch.analysis.heat_maps import MEASURES
from dispatch.analysis.kpi_list import KPI, KPIS, Kpi
from dispatch.analysis.recorded import EmptyDriving
from dispatch.analysis.run_record import RunRecord
from dispatch.analysis.timelines import BREAK_COLOUR, BREAK_LABEL

CARDS: Final = (
    "completion_share",
    "golden5_share",
    "golden10_share",
    "wait_mean_s",
    "empty_km_share",
    "utilisation_share",
)
GROUPS: Final = {
    "Orders": (
        "completion_share",
        "expired_share",
        "customer_cancel_share",
        "customer_cancel_before_acceptance_share",
        "customer_cancel_after_acceptance_share",
        "customer_cancel_after_arrival_share",
        "offers_per_order",
    ),
    "Processing time": (
        "processing_mean_s",
        "processing_accept_mean_s",
        "processing_arrive_mean_s",
        "processing_board_mean_s",
        "processing_drop_mean_s",
        "processing_close_mean_s",
    ),
    "Membership tiers": ("response_p50_tier_gap_s", "completion_tier_gap", "priority_wait_max_s"),
    "Response": ("response_p50_s", "response_p90_s", "response_p99_s", "golden5_share", "phantom_cars_share"),
    "Wait": ("wait_mean_s", "wait_p50_s", "wait_p90_s"),
    "Pickup": (
        "golden10_share",
        "golden10_of_submitted_share",
        "five_minute_arrival_share",
        "five_minute_arrival_driver_p10_share",
        "arrival_after_accept_mean_s",
        "pickup_eta_mae_s",
        "pickup_eta_bias_s",
        "pickup_late5_share",
        "pickup_late10_share",
        "miss_predicted_share",
        "miss_true_share",
        "miss_recall_share",
        "far_pickup_share",
        "eta_regret_mean_s",
        "eta_regret_p50_s",
        "eta_regret_p90_s",
        "eta_regret_p99_s",
    ),
    "Driving": (
        "empty_km_share",
        "empty_km_idle_share",
        "empty_km_pickup_share",
        "empty_km_repositioning_share",
        "pickup_km_per_order",
    ),
    "Drivers": (
        "utilisation_share",
        "busy_share",
        "driver_cancel_share",
        "driver_income_mean_cents_per_h",
        "driver_income_p10_cents_per_h",
        "driver_income_p90_cents_per_h",
        "driver_income_gini",
    ),
}
"""Every KPI once, as the table shows them."""
SETTING_LABELS: Final = {
    "city": "City",
    "date": "Date",
    "timezone": "Time zone",
    "policy": "Policy",
    "seed": "Seed",
    "orders": "Orders",
    "orders_outside": "Orders left out, outside of the city",
    "drivers": "Drivers",
    "shifts": "Shifts",
    "window_s": "Batch window, s",
    "max_pickup_s": "Longest pickup, s",
    "slowdown": "Travel time, times free flow",
    "fare_rule": "Declared fare rule",
    "prepare_s": "Time to read the city and find travel times, s",
    "run_s": "Time of the run itself, s",
    "wall_s": "Time of both and of the KPIs, s",
    "compile_s": "Time to compile or load kernels, s",
    "event_log_sha256": "SHA-256 of the event log",
}
SHOWN_ELSEWHERE: Final = ("left_out", "notes", "partial", "recorded_empty_km_share")
PARKED_NOTE: Final = (
    "Simulated drivers who park between orders save all cruising by construction: compare empty driving with "
    "real drivers' only together with the pickup distance per trip."
)


def title_parts(city_name: str, runs: Sequence[RunRecord]) -> list[str]:
    """City, date and policy, each once."""
    parts = [city_name.replace("_", " ").title() if city_name.islower() else city_name]
    for key in ("date", "policy"):
        values = list(dict.fromkeys(str(run.meta[key]) for run in runs if run.meta.get(key) is not None))
        if values:
            parts.append(" vs ".join(values))
    return parts


def run_legend(
    tables: Sequence[RunTables], solid: str = "", dotted: str = "", *, all_runs: bool = False
) -> str:
    """Legend above a chart of runs: their colours if several or `all_runs`, and what kinds of lines are."""
    runs = [_key(one.colour, one.name) for one in tables] if len(tables) > 1 or all_runs else []
    ink = tables[0].colour if len(tables) == 1 else "#616e7c"
    styles = [_key(ink, label, style) for label, style in ((solid, "line"), (dotted, "dotted")) if label]
    return f'<p class="legend">{"".join([*runs, *styles])}</p>' if runs or styles else ""


def state_legend(tables: Sequence[RunTables], *, with_breaks: bool = False) -> str:
    """Legend of what drivers did, and where they are drawn one by one, of their breaks."""
    seen = [state for state in STATE_LABELS if any(one.series.drivers[state].any() for one in tables)]
    keys = [_key(STATE_COLOURS[state], STATE_LABELS[state]) for state in seen]
    if with_breaks:
        keys.append(_key(BREAK_COLOUR, BREAK_LABEL))
    return f'<p class="legend">{"".join(keys)}</p>'


def heat_choice() -> str:
    """Let readers choose what the heat maps show; the page's script listens."""
    parts = []
    for number, measure in enumerate(MEASURES):
        checked = " checked" if number == 0 else ""
        scale = ", ".join(measure.colours)
        parts.append(
            f'<label><input type="radio" name="heat" value="{measure.name}"{checked}>'
            f'<span><i class="scale" style="background:linear-gradient(90deg,{scale})"></i>{measure.label}'
            f"{'' if measure.unit == 'orders' else f', {measure.unit}'}</span></label>"
        )
    legend = '<legend class="unseen">What the maps show</legend>'
    return f'<fieldset class="choice">{legend}{"".join(parts)}</fieldset>'


def _key(colour: str, label: str, style: str = "dot") -> str:
    return f'<span><i class="{style}" style="--run:{colour}"></i>{label}</span>'


def run_name(one: RunTables, element: str) -> str:
    """Name a run behind the dot of its colour."""
    return f'<{element}><span class="dot" style="--run:{one.colour}"></span>{one.name}</{element}>'


def run_list(tables: Sequence[RunTables]) -> str:
    """All runs with their size."""
    parts = []
    for one in tables:
        size = f"{format_count(len(one.orders))} orders, {format_count(len(one.drivers))} drivers"
        parts.append(f"<span>{run_name(one, 'b')} · {size}</span>")
    return "".join(parts)


def banner(tables: Sequence[RunTables]) -> str:
    """Warn of runs that were stopped; empty where there is none."""
    stopped = [one.name for one in tables if one.run.partial]
    if not stopped:
        return ""
    which = "This run was" if len(tables) == 1 else f"Stopped: {', '.join(stopped)}. It was"
    return (
        f'<div class="banner" role="alert">Partial run. {which} stopped before all orders were finished: '
        "orders still open count as not completed, and later hours are missing.</div>"
    )


def notes(tables: Sequence[RunTables]) -> str:
    """What must be known to read the figures; notes that all runs share stand once."""
    owners: dict[str, list[str]] = {}
    for one in tables:
        told = one.run.meta.get("notes", ())
        for note in told if isinstance(told, Sequence) and not isinstance(told, str) else [told]:
            owners.setdefault(str(note), []).append(one.name)
    if not owners:
        return ""
    lines = []
    for note, names in owners.items():
        whose = "" if len(names) == len(tables) else f"<b>{', '.join(names)}:</b> "
        lines.append(f"<li>{whose}{escape(note)}</li>")
    return f'<div class="notes" role="note"><ul>{"".join(lines)}</ul></div>'


def known(kpi: Kpi, where: str) -> str:
    """Give a KPI's name with its definition, which appears when pointed at or focused."""
    name = f"{where}-{kpi.name}"
    return (
        f'<button type="button" class="known" aria-describedby="{name}">{escape(kpi.label)}</button>'
        f'<span class="unseen" id="{name}">{escape(kpi.definition)}</span>'
    )


def cards(tables: Sequence[RunTables], recorded: EmptyDriving | None) -> str:
    """Give the six figures to look at first."""
    parts = []
    for name in CARDS:
        kpi, best = KPI[name], better_runs(KPI[name], tables)
        lines = []
        for number, one in enumerate(tables):
            value = escape(kpi.format(one.run.kpis[name]))
            if len(tables) == 1:
                lines.append(f'<li><span class="value">{value}</span></li>')
            else:
                marked = _marked(value, number in best, "span")
                lines.append(
                    f'<li class="many"><span class="run">{run_name(one, "span")}</span>{marked}</li>'
                )
        head = f'<div class="name">{known(kpi, "card")}</div>'
        parts.append(
            f'<div class="card">{head}<ul>{"".join(lines)}</ul>{_card_note(name, tables, recorded)}</div>'
        )
    return "".join(parts)


def _all_park(tables: Sequence[RunTables]) -> bool:
    """Whether nobody drove without an order in any of the runs."""
    idle = ("empty_km_idle_share", "empty_km_repositioning_share")
    return not any(one.run.kpis.get(name) for one in tables for name in idle)


def _card_note(name: str, tables: Sequence[RunTables], recorded: EmptyDriving | None) -> str:
    if name != "empty_km_share":
        return ""
    real = f" Real drivers: {KPI[name].format(recorded.share)}." if recorded is not None else ""
    what = "Way to pickups only; parked drivers save cruising." if _all_park(tables) else "Cruising included."
    return f'<p class="more">{what}{real}</p>'


def better_runs(kpi: Kpi, tables: Sequence[RunTables]) -> set[int]:
    """Give the runs with the best value, as shown; none where all look alike or neither way is better."""
    values = {i: one.run.kpis[kpi.name] for i, one in enumerate(tables)}
    measured = {i: value for i, value in values.items() if value is not None}
    if (
        kpi.better is None
        or len(measured) < 2
        or len({kpi.format(value) for value in measured.values()}) == 1
    ):
        return set()
    best = (max if kpi.better == "up" else min)(measured.values())
    return {i for i, value in measured.items() if kpi.format(value) == kpi.format(best)}


def _marked(value: str, is_better: bool, element: str) -> str:
    """Mark the better value with weight and a sign, not by colour alone."""
    mark = '<span class="mark" title="better">✓</span>' if is_better else '<span class="mark"></span>'
    style = ' class="value better"' if is_better else ' class="value"'
    return f"<{element}{style}>{value}{mark}</{element}>"


def kpi_table(tables: Sequence[RunTables], recorded: EmptyDriving | None) -> str:
    """Give all KPIs, one column a run, and what real drivers did where it is known."""
    heads = [f'<th scope="col">{run_name(one, "span")}</th>' for one in tables]
    if recorded is not None:
        heads.append('<th scope="col">What really happened</th>')
    body = []
    for group, names in GROUPS.items():
        rows = "".join(_kpi_row(KPI[name], tables, recorded) for name in names)
        head = f'<tr class="group"><th scope="rowgroup" colspan="{len(heads) + 1}">{group}</th></tr>'
        body.append(f"<tbody>{head}{rows}</tbody>")
    return (
        '<div class="scroll"><table class="kpis"><thead><tr><th scope="col">Key figure</th>'
        f"{''.join(heads)}</tr></thead>{''.join(body)}</table></div>"
    )


def _kpi_row(kpi: Kpi, tables: Sequence[RunTables], recorded: EmptyDriving | None) -> str:
    best = better_runs(kpi, tables)
    cells = []
    for number, one in enumerate(tables):
        value = escape(kpi.format(one.run.kpis[kpi.name]))
        style = ' class="none"' if value == NOT_MEASURED else ""
        marked = _marked(value, number in best, "span") if len(tables) > 1 else value
        cells.append(f"<td{style}>{marked}</td>")
    if recorded is not None:
        is_known = kpi.name == "empty_km_share"
        cells.append(f"<td>{kpi.format(recorded.share) if is_known else ''}</td>")
    return f'<tr><th scope="row">{known(kpi, "row")}</th>{"".join(cells)}</tr>'


def beside_empty_driving(tables: Sequence[RunTables], recorded: EmptyDriving | None) -> str:
    """Say how to read empty driving, and what the recorded figure rests on."""
    kpi = KPI["pickup_km_per_order"]
    distances = ", ".join(
        f"{kpi.format(one.run.kpis[kpi.name])}{f' ({one.name})' if len(tables) > 1 else ''}" for one in tables
    )
    note = f" {PARKED_NOTE}" if _all_park(tables) else ""
    text = f"<b>Empty driving.</b>{note} Pickup distance per trip: {distances}."
    if recorded is not None:
        text += (
            f" Real drivers drove {recorded.empty_km:,.0f} of {recorded.total_km:,.0f} km empty, cruising "
            f"included: straight lines between {recorded.num_pairs:,} pairs of pings at most 300 s apart."
        )
    return f'<p class="aside">{text}</p>'


def settings(tables: Sequence[RunTables]) -> str:
    """Table of what was set and measured for each run."""
    keys = [*SETTING_LABELS, *(key for one in tables for key in one.run.meta)]
    told = {key for one in tables for key, value in one.run.meta.items() if value is not None}
    used = [key for key in dict.fromkeys(keys) if key in told and key not in SHOWN_ELSEWHERE]
    heads = "".join(f'<th scope="col">{run_name(one, "span")}</th>' for one in tables)
    rows = []
    for key in used:
        label = SETTING_LABELS.get(key, key.replace("_", " ").capitalize())
        cells = "".join(f'<td class="words">{escape(_setting(one.run.meta, key))}</td>' for one in tables)
        rows.append(f'<tr><th scope="row">{escape(label)}</th>{cells}</tr>')
    return (
        f'<div class="scroll"><table><thead><tr><th scope="col">Setting</th>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _setting(meta: Mapping[str, object], key: str) -> str:
    value = meta.get(key)
    if value is None:
        return NOT_MEASURED
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and key != "seed":
        return format_count(value)
    return f"{value:,.4g}" if isinstance(value, float) and abs(value) < 10_000 else str(value)


def definitions() -> str:
    """Give all KPIs with their definitions, for paper and for those who read on."""
    return "".join(f"<dt>{escape(kpi.label)}</dt><dd>{escape(kpi.definition)}</dd>" for kpi in KPIS)
