"""One self-contained HTML page about a test of predicted durations, opened without a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any, Final

import dispatch
from dispatch.analysis import eta_charts, eta_tables
from dispatch.analysis.charts import Figure
from dispatch.analysis.eta_evaluation import EtaEvaluation
from dispatch.analysis.eta_groups import MIN_ROUTE_TRIPS, MIN_TRIPS
from dispatch.analysis.eta_maps import EtaMaps
from dispatch.analysis.eta_training import split_gain
from dispatch.analysis.page_file import json_for_script, page_part, plotly_source, write_whole
from dispatch.analysis.page_pieces import chart_place

_CHART_NAMES: Final = {
    "calibration": "Observed over promised coverage, per cent",
    "gaps": "Observed minus promised coverage by level and band of the day, points",
    "between": "Share of trips between quantiles over the promised share",
    "coverage_hour": "Coverage of each quantile by hour of day, per cent",
    "error_hour": "Mean absolute error by hour of day, seconds",
    "bias_hour": "Bias by hour of day, seconds",
    "error_distance": "Mean absolute error by distance, seconds",
    "width_distance": "Width of the interval by distance, minutes",
    "map_error": "Map of zones by mean absolute error",
    "map_bias": "Map of zones by bias",
    "map_routes": "Map of the routes predicted worst",
}


def write_eta_report(
    path: str | Path,
    evaluation: EtaEvaluation,
    training: Mapping[str, Any] | None = None,
    *,
    notes: Sequence[str] = (),
) -> None:
    """Write the report of a test of predicted durations.

    Parameters
    ----------
    path : str or Path
        HTML file to write; written whole or not at all.
    evaluation : EtaEvaluation
    training : mapping, optional
        What the model's training told of itself: nested mappings of plain values. The gain of features, by
        name, is drawn.
    notes : sequence of str
        What must be known to read the figures.

    Raises
    ------
    DispatchError
        Plotly is not installed.
    """
    plotly = plotly_source()
    maps = EtaMaps(evaluation)
    gain, rest = split_gain(training or {})
    figures = _figures(evaluation, maps)
    drawn_gain = ""
    if gain:
        figures["gain"] = eta_charts.gains(gain)
        drawn_gain = _GAIN_HEAD + chart_place("gain", "Share of each feature, per cent")
    days = evaluation.days
    title = [_city_name(evaluation), str(days[0]) if len(days) == 1 else f"{days[0]} … {days[-1]}"]
    page = Template(page_part("eta.html")).substitute(
        title=escape(" · ".join(title)),
        heading=" · ".join(f'<span class="whole">{escape(part)}</span>' for part in title),
        style=page_part("report.css"),
        size=eta_tables.size(evaluation),
        banner="",
        notes=eta_tables.notes(evaluation, notes),
        cards=eta_tables.cards(evaluation),
        errors=eta_tables.error_table(evaluation),
        checks=eta_tables.check_table(evaluation),
        losses=eta_tables.loss_table(evaluation),
        widths=eta_tables.width_table(evaluation),
        legend=eta_tables.predictor_legend(evaluation),
        band_legend=eta_tables.band_legend(evaluation),
        level_legend=eta_tables.level_legend(evaluation),
        time_tables="".join(
            eta_tables.folded(title, eta_tables.group_table(evaluation, by, first))
            for title, by, first in _TIME_TABLES
        ),
        zone_tables="".join(
            eta_tables.folded(title, eta_tables.group_table(evaluation, by, "Zone"))
            for title, by in (("Where trips began", "from_zone"), ("Where trips ended", "to_zone"))
        ),
        route_tables=eta_tables.route_tables(evaluation),
        min_trips=MIN_TRIPS,
        min_route_trips=MIN_ROUTE_TRIPS,
        training=drawn_gain + eta_tables.training_table(rest),
        definitions=eta_tables.definitions(),
        version=dispatch.__version__,
        plotly=plotly,
        data=json_for_script({"background": maps.svg, "figures": figures}),
        script=page_part("report.js"),
        **{name: chart_place(name, label) for name, label in _CHART_NAMES.items()},
    )
    write_whole(Path(path), page)


_GAIN_HEAD: Final = (
    '<h3>What it leans on</h3><p class="lead">Features, and in grey the sums of groups of them.</p>'
)
_TIME_TABLES: Final = (
    ("By band of the day", "band", "Band"),
    ("By hour", "hour", "Hour"),
    ("By weekday", "weekday", "Weekday"),
    ("By distance", "distance", "Distance"),
)


def _city_name(evaluation: EtaEvaluation) -> str:
    name = evaluation.city.name
    return name.replace("_", " ").title() if name.islower() else name


def _figures(evaluation: EtaEvaluation, maps: EtaMaps) -> dict[str, Figure]:
    """All charts by the id of their place, in the order of drawing."""
    hour = "local hour of the request"
    return {
        "calibration": eta_charts.calibration(evaluation),
        "gaps": eta_charts.calibration_gaps(evaluation),
        "between": eta_charts.shares_between_chart(evaluation),
        "coverage_hour": eta_charts.coverage_by_hour(evaluation),
        "error_hour": eta_charts.error_by(evaluation, "hour", hour, "seconds", lambda one: one.mae_s),
        "bias_hour": eta_charts.error_by(evaluation, "hour", hour, "seconds", lambda one: one.bias_s),
        "error_distance": eta_charts.error_by(
            evaluation, "distance", "routed distance, km", "seconds", lambda one: one.mae_s
        ),
        "width_distance": eta_charts.interval_by(evaluation, "distance", "routed distance, km"),
        "map_error": maps.error_map(),
        "map_bias": maps.bias_map(),
        "map_routes": maps.route_map(),
    }
