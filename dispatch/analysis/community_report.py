"""One self-contained HTML page about the days of a community, opened without a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from string import Template
from typing import Final, NamedTuple

import dispatch
from dispatch.analysis.charts import Figure
from dispatch.analysis.community_charts import MULTIPLES, day_charts, tier_charts, tier_colour
from dispatch.analysis.community_figures import (
    FIGURE,
    FIGURES,
    GAP_DEFINITION,
    TIER_FIGURE,
    TIER_FIGURES,
    DayFigure,
    Days,
    TierFigure,
    gap_text,
    num_orders_of,
    tier_gap_of,
    tier_name,
    tier_value,
    tiers_of,
)
from dispatch.analysis.formatting import NOT_MEASURED, format_count
from dispatch.analysis.page_file import json_for_script, page_part, plotly_source, write_whole
from dispatch.analysis.page_pieces import card, chart_place, known_by, settings_table, titled_chart
from dispatch.analysis.series import MIN_ORDERS
from dispatch.errors import InputError

SYNTHETIC_NOTE: Final = (
    "Synthetic: who is dissatisfied, rates, complains, joins or leaves is drawn with probabilities that the "
    "scenario assumes. That such a share comes out as it was put in shows nothing; that it moves with what "
    "the engine decides may."
)
_ONE_RUN: Final = "This is one run: how much of a gap is chance, only runs with other seeds can tell."
_MOST_ROWS: Final = 62
"""Days of a table that is not folded."""


class _Section(NamedTuple):
    head: str
    lead: str
    charts: Mapping[str, str]
    """titles by the names of charts"""


_SECTIONS: Final = (
    _Section(
        "Orders",
        "By day, numbered from the first one.",
        {"orders": "Orders and what became of them", "completion": "Completed orders"},
    ),
    _Section(
        "Customers",
        "Who is there, who orders, who comes and goes. Joining and leaving are synthetic.",
        {
            "customers": "Customers at the end of the day",
            "active": "Customers who ordered",
            "moves": "Joined and left",
        },
    ),
    _Section(
        "Satisfaction of customers, synthetic",
        "Drawn from what happened to them: no car, a late one, a long wait, the driver, anything else.",
        {
            "stars": "Mean stars of rated orders",
            "dissatisfied": "Dissatisfied customers",
            "complaints": "Complaints and silence",
        },
    ),
    _Section(
        "Drivers",
        "Those online for an hour or longer are asked; satisfaction and leaving are synthetic.",
        {
            "drivers_bad": "Dissatisfied drivers",
            "drivers_left": "Drivers who left",
            "gini": "How unequal incomes are",
        },
    ),
)
_GAP_TITLES: Final = {
    "gap-response_p50_s": "Median response, gap",
    "gap-completion_share": "Completed orders, gap",
    "priority_wait": "Longest wait caused by priority",
}


def write_community_report(
    path: str | Path,
    days: Days,
    settings: Mapping[str, object],
    *,
    name: str,
    tiers: Sequence[str] = (),
    num_days: int | None = None,
) -> None:
    """Write the report of a community's days.

    Parameters
    ----------
    path : str or Path
        HTML file to write; written whole or not at all.
    days : sequence of CommunityDay
        At least one, in their order.
    settings : mapping
        What they were made with, by name.
    name : str
        Of the scenario.
    tiers : sequence of str
        Names of membership tiers, the lowest first; others are told by their number.
    num_days : int, optional
        Days that were asked for: a page about fewer says so.

    Raises
    ------
    InputError
        There is no day to tell of, or the folder is not there.
    DispatchError
        Plotly is not installed.
    """
    if not days:
        raise InputError(f"no day of {name} is over: there is nothing to report")
    if not Path(path).absolute().parent.is_dir():
        raise InputError(f"{path}: its folder does not exist")
    by_day, by_tier = day_charts(days), tier_charts(days, tiers)
    title = [name, _num_of(len(days), "day")]
    page = Template(page_part("community.html")).substitute(
        title=escape(" · ".join(title)),
        heading=" · ".join(f'<span class="whole">{escape(part)}</span>' for part in title),
        style=page_part("report.css"),
        size=_size(days),
        banner=_banner(len(days), num_days),
        notes=f'<div class="notes" role="note">{escape(SYNTHETIC_NOTE)}</div>',
        cards=_cards(days),
        sections="".join(_section(section, by_day) for section in _SECTIONS),
        tiers=_tiers(days, by_tier, tiers),
        days=_day_table(days),
        settings=settings_table(settings),
        definitions=_definitions(),
        version=dispatch.__version__,
        plotly=plotly_source(),
        data=json_for_script({"background": "", "figures": {**by_day, **by_tier}}),
        script=page_part("report.js"),
    )
    write_whole(Path(path), page)


def _num_of(num: int, what: str) -> str:
    return f"{num:,} {what}{'' if num == 1 else 's'}"


def _told(name: str, days: Days) -> str:
    return FIGURE[name].format(FIGURE[name].measure(days))


def _size(days: Days) -> str:
    drivers = sum(day.num_drivers_asked for day in days) / len(days)
    told = f"{_told('active', days)} customers order on a day", f"{drivers:,.0f} drivers work"
    return "".join(f"<span>{one}</span>" for one in told)


def _banner(num: int, asked: int | None) -> str:
    if asked is None or num >= asked:
        return ""
    return (
        f'<div class="banner" role="alert">Interrupted: {num:,} of {_num_of(asked, "day")} are over. '
        "Each of them is whole.</div>"
    )


def _cards(days: Days) -> str:
    """Give the figures to look at first."""
    first, num = days[0], len(days)
    before = first.num_customers + first.num_left - first.num_joined
    orders = sum(day.num_orders for day in days)
    told = [
        (_known("customers"), "customers", f"{before:,} at the start"),
        (_known("orders"), "orders", f"{orders / num:,.0f} a day"),
        (_known("completed"), "completed", f"{sum(day.num_completed for day in days):,} orders"),
        (_known("dissatisfied"), "dissatisfied", f"{_told('silent', days)} of them stay silent"),
        (_known("stars"), "stars", f"{_told('rated_well', days)} rate four or five"),
    ]
    shown = [card("Days", format_count(num), f"day {first.day + 1} to {days[-1].day + 1}")]
    shown += [card(name, _told(figure, days), note) for name, figure, note in told]
    return "".join(shown)


def _known(name: str) -> str:
    return known_by(f"figure-{name}", FIGURE[name].label)


def _known_of_tier(figure: TierFigure) -> str:
    return known_by(f"tier-figure-{figure.name}", figure.label)


def _section(section: _Section, figures: Mapping[str, Figure]) -> str:
    charts = "".join(titled_chart(name, title, figures[name]) for name, title in section.charts.items())
    shape = "two" if len(section.charts) == 2 else "three"
    return (
        f'<section><h2>{escape(section.head)}</h2><p class="lead">{escape(section.lead)}</p>'
        f'<div class="{shape}">{charts}</div></section>'
    )


# --- tiers ---------------------------------------------------------------------------------------


def _tiers(days: Days, figures: Mapping[str, Figure], names: Sequence[str]) -> str:
    tiers = tiers_of(days)
    if not figures:
        words = "All orders were of one tier: there is no gap to tell of."
        return f'<section><h2>Membership tiers</h2><p class="lead">{words}</p></section>'
    lowest = escape(tier_name(names, tiers[0]))
    multiples = "".join(_multiples(TIER_FIGURE[name], tiers, names) for name in MULTIPLES)
    gaps = "".join(titled_chart(name, title, figures[name]) for name, title in _GAP_TITLES.items())
    return (
        '<section><h2>Membership tiers</h2><p class="lead">One chart a tier, all of a row on one scale; '
        f"dashed behind the others: {lowest}, the lowest. No line: fewer than {MIN_ORDERS} orders on the day."
        f"</p>{multiples}"
        f'<h3>Tier gap</h3><p class="lead">{escape(GAP_DEFINITION)} {_ONE_RUN}</p>'
        f'<div class="three">{gaps}</div>{_gap_table(days, tiers, names)}</section>'
    )


def _multiples(figure: TierFigure, tiers: Sequence[int], names: Sequence[str]) -> str:
    charts = []
    for rank, tier in enumerate(tiers):
        told = escape(tier_name(names, tier))
        dot = f'<span class="dot" style="--run:{tier_colour(rank)}"></span>'
        place = chart_place(f"tier-{figure.name}-{tier}", f"{figure.label} by day, {tier_name(names, tier)}")
        charts.append(f'<figure class="state"><figcaption>{dot}{told}</figcaption>{place}</figure>')
    return f'<h3>{_known_of_tier(figure)}</h3><div class="three">{"".join(charts)}</div>'


def _gap_table(days: Days, tiers: Sequence[int], names: Sequence[str]) -> str:
    """Give each tier's figures over all days and, in small print, its gap."""
    heads = "".join(f'<th scope="col">{_known_of_tier(figure)}</th>' for figure in TIER_FIGURES)
    rows = "".join(_gap_row(days, tier, tiers[0], names) for tier in tiers)
    longest = FIGURE["priority_wait"]
    return (
        '<div class="scroll"><table class="wide"><caption>All days; in small print: the gap</caption><thead>'
        f'<tr><th scope="col">Tier</th><th scope="col">Orders</th>{heads}</tr></thead><tbody>{rows}</tbody>'
        f'</table></div><p class="aside"><b>{escape(longest.label)}: {_told("priority_wait", days)}.</b> '
        f"{escape(longest.definition)}</p>"
    )


def _gap_row(days: Days, tier: int, lowest: int, names: Sequence[str]) -> str:
    cells = [f"<td>{format_count(num_orders_of(days, tier))}</td>"]
    for figure in TIER_FIGURES:
        words = figure.format(tier_value(days, figure, tier))
        gap = gap_text(figure, tier_gap_of(days, figure, tier, lowest))
        small = "" if tier == lowest or gap == NOT_MEASURED else f'<span class="by">{escape(gap)}</span>'
        cells.append(f"<td{_faint(words)}>{escape(words)}{small}</td>")
    return f'<tr><th scope="row">{escape(tier_name(names, tier))}</th>{"".join(cells)}</tr>'


def _faint(words: str) -> str:
    return ' class="none"' if words == NOT_MEASURED else ""


# --- all days ------------------------------------------------------------------------------------


def _day_table(days: Days) -> str:
    shown = [figure for figure in FIGURES if any(figure.measure([day]) is not None for day in days)]
    spans = "".join(
        f'<th scope="colgroup" colspan="{len(list(figures))}">{escape(group)}</th>'
        for group, figures in groupby(shown, lambda figure: figure.group)
    )
    heads = "".join(f'<th scope="col">{known_by(f"figure-{one.name}", one.head)}</th>' for one in shown)
    rows = "".join(_day_row(str(day.day + 1), [day], shown) for day in days)
    table = (
        '<div class="scroll broad"><table class="wide days"><thead>'
        f'<tr class="spans"><th></th>{spans}</tr><tr><th scope="col">Day</th>{heads}</tr>'
        f"</thead><tbody>{rows}</tbody><tfoot>{_day_row('All', days, shown)}</tfoot></table></div>"
    )
    if len(days) <= _MOST_ROWS:
        return table
    return f"<details><summary>{_num_of(len(days), 'day')}</summary>{table}</details>"


def _day_row(name: str, days: Days, figures: Sequence[DayFigure]) -> str:
    words = [figure.format(figure.measure(days)) for figure in figures]
    cells = "".join(f"<td{_faint(one)}>{escape(one)}</td>" for one in words)
    return f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>'


def _definitions() -> str:
    parts = [
        f'<dt>{escape(one.label)}</dt><dd id="figure-{one.name}">{escape(one.definition)}</dd>'
        for one in FIGURES
    ]
    parts += [
        f'<dt>{escape(one.label)}: a tier</dt><dd id="tier-figure-{one.name}">{escape(one.definition)}</dd>'
        for one in TIER_FIGURES
    ]
    return f"{''.join(parts)}<dt>Tier gap</dt><dd>{escape(GAP_DEFINITION)}</dd>"
