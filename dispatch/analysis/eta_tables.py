"""The parts of a report of ETAs that are words and numbers, as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from dispatch.analysis.eta_charts import BAND_COLOURS, LEVEL_COLOURS, predictor_look
from dispatch.analysis.eta_evaluation import MODEL, EtaEvaluation
from dispatch.analysis.eta_figures import (
    COVERAGE_DEFINITION,
    DEFINITIONS,
    ERROR_COLUMNS,
    MORE_DEFINITION,
    PINBALL,
    WIDTH_COLUMNS,
    Row,
    check_text,
    error_rows,
    format_seconds,
    group_rows,
    left_out_line,
    level_label,
    loss_rows,
    predictor_label,
    summary_lines,
    width_rows,
)
from dispatch.analysis.eta_groups import MIN_TRIPS, EtaGroup
from dispatch.analysis.eta_maps import ROUTE_KINDS, worst_routes
from dispatch.analysis.eta_training import flat_report
from dispatch.analysis.formatting import format_count, format_duration, format_share

Head = tuple[str, str]
"""A column's name and its definition, empty: it needs none."""

_ERROR_HEADS: Final = tuple((column.label, column.definition) for column in ERROR_COLUMNS)
_MORE: Final = ("Against the model", MORE_DEFINITION)
_MAX_ZONES: Final = 40
"""Zones in a table, the busiest ones."""


def table(first: str, heads: Sequence[Head], rows: Sequence[Row], where: str, marked: str = "") -> str:
    """Give a table: names of rows in the first column, which `first` names; the row `marked` is bold.

    Definitions appear when a head is pointed at; `where` keeps their ids apart.
    """
    told = "".join(
        f'<th scope="col">{_known(name, text, f"{where}-{number}") if text else escape(name)}</th>'
        for number, (name, text) in enumerate(heads)
    )
    body = []
    for name, cells in rows:
        bold = " better" if name == marked else ""
        style = f' class="{bold.strip()}"' if bold else ""
        values = "".join(f"<td{style}>{escape(cell)}</td>" for cell in cells)
        body.append(f'<tr><th scope="row" class="key{bold}">{escape(name)}</th>{values}</tr>')
    return (
        f'<div class="scroll"><table class="wide"><thead><tr><th scope="col" class="key">{escape(first)}</th>'
        f"{told}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _known(name: str, definition: str, where: str) -> str:
    return (
        f'<button type="button" class="known" aria-describedby="{where}">{escape(name)}</button>'
        f'<span class="unseen" id="{where}">{escape(definition)}</span>'
    )


def cards(evaluation: EtaEvaluation) -> str:
    """Give the figures to look at first."""
    errors, quantiles = evaluation.errors[MODEL], evaluation.quantiles[MODEL]
    told = [
        (
            ERROR_COLUMNS[0].label,
            ERROR_COLUMNS[0].definition,
            format_seconds(errors.mae_s),
            _beside(evaluation),
        ),
        (ERROR_COLUMNS[1].label, ERROR_COLUMNS[1].definition, format_seconds(errors.median_s), ""),
        (ERROR_COLUMNS[4].label, ERROR_COLUMNS[4].definition, format_share(errors.late5_share), ""),
    ]
    levels = evaluation.test.levels
    for level in [one for one in (0.8, 0.9) if one in levels]:
        number = levels.index(level)
        between = evaluation.coverage[number]
        note = (
            "" if between is None else f"95 % interval {100 * between.low:.1f} … {100 * between.high:.1f} %"
        )
        name = f"Covered by {level_label(level)}"
        told.append((name, COVERAGE_DEFINITION, format_share(quantiles.coverage[number]), note))
    told.append((PINBALL.label, PINBALL.definition, PINBALL.text(quantiles), ""))
    return "".join(
        f'<div class="card"><div class="name">{_known(name, text, f"card-{number}")}</div>'
        f'<ul><li><span class="value">{escape(value)}</span></li></ul>'
        f'<p class="more">{escape(note)}</p></div>'
        for number, (name, text, value, note) in enumerate(told)
    )


def _beside(evaluation: EtaEvaluation) -> str:
    """Tell the best of the others."""
    others = {name: one.mae_s for name, one in evaluation.errors.items() if name != MODEL}
    known = {name: value for name, value in others.items() if value is not None}
    if not known:
        return ""
    best = min(known, key=lambda name: known[name])
    return f"{format_seconds(known[best])} by {best}"


def notes(evaluation: EtaEvaluation, more: Sequence[str] = ()) -> str:
    """What must be known to read the figures."""
    lines = [*more, *summary_lines(evaluation), left_out_line(evaluation)]
    told = "".join(f"<li>{escape(line)}</li>" for line in lines if line)
    return f'<div class="notes" role="note"><ul>{told}</ul></div>'


def size(evaluation: EtaEvaluation) -> str:
    """Tell how much was tested."""
    counts = [
        (len(evaluation.test), "trip"),
        (len(evaluation.days), "day"),
        (len(evaluation.errors), "predictor"),
    ]
    told = [f"{format_count(num)} {what}{'' if num == 1 else 's'}" for num, what in counts]
    return "".join(f"<span>{one}</span>" for one in told)


def error_table(evaluation: EtaEvaluation) -> str:
    """Give all predictors with their errors."""
    heads = [*_ERROR_HEADS, _MORE]
    return table("Predictor", heads, error_rows(evaluation), "errors", predictor_label(MODEL))


def loss_table(evaluation: EtaEvaluation) -> str:
    """Give what all predictors of quantiles lose, by level and on average."""
    heads = [(level_label(level), "Mean pinball loss at this level.") for level in evaluation.test.levels]
    heads += [(PINBALL.label, PINBALL.definition), _MORE]
    return table("Pinball loss", heads, loss_rows(evaluation), "losses", predictor_label(MODEL))


def width_table(evaluation: EtaEvaluation) -> str:
    """Give what all predictors of quantiles cover, and how wide they are."""
    heads = [(f"{level_label(level)} covers", COVERAGE_DEFINITION) for level in evaluation.test.levels]
    heads += [(column.label, column.definition) for column in WIDTH_COLUMNS]
    return table("Coverage and sharpness", heads, width_rows(evaluation), "widths", predictor_label(MODEL))


def check_table(evaluation: EtaEvaluation) -> str:
    """Give the coverage of each level of all trips and of each band, marked by its tolerance."""
    heads = "".join(f'<th scope="col">{level_label(level)}</th>' for level in evaluation.test.levels)
    body: dict[str, list[str]] = {}
    for check in evaluation.checks:
        cells = body.setdefault(check.where, [f"<td>{format_count(check.num)}</td>"])
        title = "within tolerance" if check.passes else "out of tolerance"
        style = "mark" if check.passes else "mark worse"
        share, sign = check_text(check).rsplit(" ", 1)
        cells.append(f'<td>{share}<span class="{style}" title="{title}">{sign}</span></td>')
    rows = "".join(f'<tr><th scope="row">{where}</th>{"".join(cells)}</tr>' for where, cells in body.items())
    return (
        '<div class="scroll"><table class="checks"><thead><tr><th scope="col">Covered</th>'
        f'<th scope="col">Trips</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def group_table(evaluation: EtaEvaluation, by: str, first: str) -> str:
    """Give the model's figures by the groups of `by`; of many zones the busiest."""
    groups: Sequence[EtaGroup] = evaluation.groups[by]
    if by.endswith("zone"):
        groups = sorted(groups, key=lambda group: -group.num)[:_MAX_ZONES]
        groups = [group for group in groups if group.num >= MIN_TRIPS]
    levels = [(f"{level_label(level)} covers", COVERAGE_DEFINITION) for level in evaluation.test.levels]
    ends = [(column.label, column.definition) for column in (PINBALL, WIDTH_COLUMNS[0])]
    return table(first, [("Trips", ""), *_ERROR_HEADS, *levels, *ends], group_rows(groups), by)


def folded(title: str, content: str) -> str:
    """Hide a table behind its title."""
    return f"<details><summary>{escape(title)}</summary>{content}</details>"


def route_tables(evaluation: EtaEvaluation) -> str:
    """Give the worst routes of either kind."""
    heads = [
        (name, "")
        for name in ("Trips", "Actual", "Predicted", "Mean absolute error", "Bias", "Late by over 5 min")
    ]
    parts = []
    for kind in ROUTE_KINDS:
        rows: list[Row] = [
            (
                f"{route.from_zone} → {route.to_zone}",
                [
                    format_count(route.num),
                    *(format_duration(value) for value in (route.actual_s, route.predicted_s, route.mae_s)),
                    format_duration(route.bias_s),
                    format_share(route.late5_share),
                ],
            )
            for route in worst_routes(evaluation, kind)
        ]
        name = f"Route, {kind.label}"
        parts.append(folded(f"Errors {kind.label}", table(name, heads, rows, "routes")))
    return "".join(parts)


def predictor_legend(evaluation: EtaEvaluation) -> str:
    """Tell colours and dashes of predictors."""
    told = []
    for name in evaluation.errors:
        colour, dash = predictor_look(name, evaluation)
        told.append(_key(colour, predictor_label(name), f"stroke {dash}"))
    return f'<p class="legend">{"".join(told)}</p>'


def band_legend(evaluation: EtaEvaluation) -> str:
    """Tell colours of bands of the day."""
    keys = [_key(predictor_look(MODEL, evaluation)[0], "all trips")]
    keys += [_key(BAND_COLOURS[group.key], group.label) for group in evaluation.groups["band"]]
    return f'<p class="legend">{"".join(keys)}</p>'


def level_legend(evaluation: EtaEvaluation) -> str:
    """Tell colours of levels."""
    levels = enumerate(evaluation.test.levels)
    keys = [_key(LEVEL_COLOURS[n % len(LEVEL_COLOURS)], level_label(level), "line") for n, level in levels]
    return f'<p class="legend">{"".join(keys)}</p>'


def _key(colour: str, label: str, style: str = "dot") -> str:
    return f'<span><i class="{style}" style="--run:{colour}"></i>{escape(label)}</span>'


def definitions() -> str:
    """Give all figures with their meanings."""
    return "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in DEFINITIONS)


def training_table(report: Mapping[str, Any]) -> str:
    """Give what a training told of itself, as names and values."""
    rows: list[Row] = [(name, [value]) for name, value in flat_report(report)]
    if not rows:
        return '<p class="lead">The model does not tell.</p>'
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="words">{escape(cells[0])}</td></tr>'
        for name, cells in rows
    )
    return (
        '<div class="scroll"><table><thead><tr><th scope="col">Training</th><th scope="col">Value</th></tr>'
        f"</thead><tbody>{body}</tbody></table></div>"
    )
