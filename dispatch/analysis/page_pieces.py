"""Pieces of pages that several reports are put together from, as HTML."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from dispatch.analysis.charts import Figure


def chart_place(name: str, label: str) -> str:
    """Give the place that the page's script draws a figure into.

    Parameters
    ----------
    name : str
        Key of the figure.
    label : str
        What it shows, for those who do not see it.
    """
    return f'<div class="chart" id="{name}" role="img" aria-label="{escape(label)}"></div>'


def legend(figure: Figure) -> str:
    """Tell the names of a chart's traces, lines by their strokes, all else by dots; of one alone nothing."""
    keys = [_key(trace) for trace in figure["data"] if trace.get("name") and _colour(trace)]
    return f'<p class="legend">{"".join(keys)}</p>' if len(keys) > 1 else ""


def _key(trace: Figure) -> str:
    line = trace.get("line", {})
    style = f"stroke {line.get('dash', 'solid')}" if "color" in line else "dot"
    return f'<span><i class="{style}" style="--run:{_colour(trace)}"></i>{trace["name"]}</span>'


def _colour(trace: Figure) -> str | None:
    for part in ("line", "marker"):
        colour = trace.get(part, {}).get("color")
        if isinstance(colour, str):
            return colour
    return None


def titled_chart(name: str, title: str, figure: Figure) -> str:
    """Give a chart's place below its title and legend."""
    return f"<div><h3>{escape(title)}</h3>{legend(figure)}{chart_place(name, title)}</div>"


def card(name: str, value: str, note: str) -> str:
    """Give one of the figures to look at first.

    Parameters
    ----------
    name : str
        HTML.
    value, note : str
        Plain text.
    """
    return (
        f'<div class="card"><div class="name">{name}</div>'
        f'<ul><li><span class="value">{escape(value)}</span></li></ul>'
        f'<p class="more">{escape(note)}</p></div>'
    )


def known_by(definition_id: str, label: str) -> str:
    """Give a name whose definition, of this id in the page, appears when pointed at or focused."""
    return f'<button type="button" class="known" aria-describedby="{definition_id}">{escape(label)}</button>'


def settings_table(settings: Mapping[str, object]) -> str:
    """Give what was set, by name."""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="words">{escape(str(value))}</td></tr>'
        for name, value in settings.items()
    )
    return (
        '<div class="scroll"><table><thead><tr><th scope="col">Setting</th><th scope="col">Value</th></tr>'
        f"</thead><tbody>{rows}</tbody></table></div>"
    )
