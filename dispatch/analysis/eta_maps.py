"""Maps of a test of ETAs: errors by zone, and the routes that are predicted worst."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any, Final, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from dispatch.analysis.charts import Figure, layout
from dispatch.analysis.city_map import Frame, frame_of, map_svg
from dispatch.analysis.eta_evaluation import MODEL, EtaEvaluation
from dispatch.analysis.eta_groups import MIN_TRIPS, EtaGroup, Route
from dispatch.analysis.formatting import format_duration, format_share

NUM_ROUTES: Final = 15
"""Worst routes shown of either kind."""
_ERROR_COLOURS: Final = ("#fff4e3", "#fdc98a", "#f08a3c", "#b8440e", "#6b2306")
_BIAS_COLOURS: Final = ("#2166ac", "#92c5de", "#f7f7f7", "#f4a582", "#b2182b")
"""From earlier to later than predicted; blue and red: safe for the colour-blind."""
_OPACITY: Final = 0.72
_HIGHEST_LEVEL: Final = 0.95
"""Colours end at this quantile of the zones: one odd zone must not bleach the others."""
_END_MARKER: Final = {"size": 7, "symbol": "circle"}
_LOOP_MARKER: Final = {"size": 14, "symbol": "circle-open-dot", "line": {"width": 2}}
"""Of a route within one zone, whose line is too short to be seen."""
_BEND: Final = 0.12
"""How far a route's line bends to its right, as a share of its length: ways to and fro lie apart."""


class RouteKind(NamedTuple):
    """What makes a route one of the worst."""

    label: str
    colour: str
    cost: Callable[[Route], float]


ROUTE_KINDS: Final = (
    RouteKind("largest in sum", "#b2182b", lambda route: route.sum_s),
    RouteKind("largest on average", "#5e3c99", lambda route: route.mae_s),
)


def worst_routes(evaluation: EtaEvaluation, kind: RouteKind) -> list[Route]:
    """Give the routes with the largest errors, the worst first."""
    return sorted(evaluation.routes, key=lambda route: -kind.cost(route))[:NUM_ROUTES]


class EtaMaps:
    """The frame and the streets, once for all maps.

    Parameters
    ----------
    evaluation : EtaEvaluation
    """

    def __init__(self, evaluation: EtaEvaluation) -> None:
        self.evaluation, city, test = evaluation, evaluation.city, evaluation.test
        self.shown = [one for one in evaluation.groups["from_zone"] if one.num >= MIN_TRIPS and one.key >= 0]
        """Zones where enough trips began"""
        ends = [np.concatenate(pair) for pair in ((test.from_lon, test.to_lon), (test.from_lat, test.to_lat))]
        self.frame = frame_of(*city.projection.to_plane(*ends), city)
        self.wide = self.frame.widened(city)
        self.svg = map_svg(city, self.wide)
        """Streets and water, the background of every map"""

    def error_map(self) -> Figure:
        """Draw the mean absolute error by the zone in which trips began."""
        cost = [group.errors[MODEL].mae_s or 0.0 for group in self.shown]
        highest = _highest(cost)
        return self._zone_map([one / highest for one in cost], _ERROR_COLOURS, (0, highest))

    def bias_map(self) -> Figure:
        """Draw the mean error by zone: where trips take longer than predicted, and where less long."""
        cost = [group.errors[MODEL].bias_s or 0.0 for group in self.shown]
        highest = _highest([abs(one) for one in cost])
        place = [(one / highest + 1) / 2 for one in cost]
        return self._zone_map(place, _BIAS_COLOURS, (-highest, highest))

    def _zone_map(
        self, place: Sequence[float], colours: Sequence[str], ends_s: tuple[float, float]
    ) -> Figure:
        """Draw zones in colours.

        `place` is where between the first and the last colour each one is, `ends_s` what these stand for.
        """
        traces = []
        for group, at in zip(self.shown, place, strict=True):
            x, y = self._outline(group.key)
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    **{"x": x, "y": y, "fill": "toself", "fillcolor": _mixed(colours, at, _OPACITY)},
                    "line": {"color": "rgba(255,255,255,0.6)", "width": 0.5},
                    "hoveron": "fills",
                    "text": self._words(group),
                    "hoverinfo": "text",
                    "showlegend": False,
                }
            )
        traces.append(_scale(colours, *ends_s, self.frame))
        return self._figure(traces, showlegend=False)

    def _outline(self, zone: int) -> tuple[list[int | None], list[int | None]]:
        """Give the outline of a zone in whole metres of the plane; gaps between its parts."""
        x: list[int | None] = []
        y: list[int | None] = []
        polygons = shapely.get_parts(self.evaluation.zones.polygon[zone])
        for ring in shapely.get_exterior_ring(polygons):
            degrees = shapely.get_coordinates(ring)
            ring_x, ring_y = self.evaluation.city.projection.to_plane(degrees[:, 0], degrees[:, 1])
            x += [*([None] if x else []), *np.rint(ring_x).astype(int).tolist()]
            y += [*([None] if y else []), *np.rint(ring_y).astype(int).tolist()]
        return x, y

    def _words(self, group: EtaGroup) -> str:
        errors = group.errors[MODEL]
        return (
            f"<b>{escape(group.label)}</b>, {group.num:,} trips<br>"
            f"mean absolute error {format_duration(errors.mae_s)}<br>"
            f"bias {format_duration(errors.bias_s)}<br>"
            f"late by over 5 min {format_share(errors.late5_share)}"
        )

    def route_map(self) -> Figure:
        """Draw the worst routes as bent lines that end in a dot; the wider, the worse."""
        traces: list[Figure] = []
        for kind in ROUTE_KINDS:
            for rank, route in enumerate(worst_routes(self.evaluation, kind)):
                traces += self._route(kind, rank, route)
        return self._figure(
            traces,
            showlegend=True,
            legend={"orientation": "h", "x": 0, "y": -0.01, "yanchor": "top"},
            hoverdistance=12,
        )

    def _route(self, kind: RouteKind, rank: int, route: Route) -> list[Figure]:
        lon, lat = np.array([route.from_lon, route.to_lon]), np.array([route.from_lat, route.to_lat])
        x, y = _bent(*self.evaluation.city.projection.to_plane(lon, lat))
        words = (
            f"<b>{escape(route.from_zone)} → {escape(route.to_zone)}</b>, {route.num:,} trips<br>"
            f"actual {format_duration(route.actual_s)}, predicted {format_duration(route.predicted_s)}<br>"
            f"mean absolute error {format_duration(route.mae_s)}<br>"
            f"late by over 5 min {format_share(route.late5_share)}"
        )
        colour = {"color": kind.colour}
        common = {"type": "scatter", "legendgroup": kind.label, "name": kind.label, "showlegend": False}
        line = {"color": kind.colour, "width": round(4 - 2.6 * rank / NUM_ROUTES, 2), "shape": "spline"}
        return [
            {
                **common,
                "mode": "lines",
                "x": x,
                "y": y,
                "line": line,
                "opacity": 0.75,
                "text": [words] * len(x),
                "hovertemplate": "%{text}<extra></extra>",
                "showlegend": rank == 0,
            },
            {
                **common,
                "mode": "markers",
                "x": x[-1:],
                "y": y[-1:],
                "marker": _LOOP_MARKER | colour if route.from_zone == route.to_zone else _END_MARKER | colour,
                "text": [words],
                "hovertemplate": "%{text}<extra></extra>",
            },
        ]

    def _figure(self, traces: list[Figure], **more: Any) -> Figure:
        wide = _ranges(self.wide)
        bare = {"visible": False, "constrain": "domain"}
        # The page fills in the picture's source, which all maps share.
        background = {
            **{"xref": "x", "yref": "y", "x": self.wide.min_x, "y": self.wide.max_y},
            **{"sizex": self.wide.width_m, "sizey": self.wide.height_m},
            **{"sizing": "stretch", "layer": "below"},
        }
        drawn = layout(
            "",
            "",
            xaxis={**bare, "range": wide["x"]},
            yaxis={**bare, "range": wide["y"], "scaleanchor": "x"},
            height=640,
            hovermode="closest",
            margin={"l": 0, "r": 0, "t": 8, "b": 0},
            images=[background],
            **more,
        )
        # On a narrow screen the page shows the frame without what stands beside it.
        return {"data": traces, "layout": drawn, "narrow": _ranges(self.frame)}


def _scale(colours: Sequence[str], low_s: float, high_s: float, frame: Frame) -> Figure:
    """Give the scale of colours, which needs a trace to hang on: a point too small to be seen."""
    last = len(colours) - 1
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [round(frame.min_x)],
        "y": [round(frame.min_y)],
        "hoverinfo": "skip",
        "showlegend": False,
        "marker": {
            "size": 0.1,
            "color": [low_s],
            **{"cmin": low_s, "cmax": high_s, "showscale": True},
            "colorscale": [[number / last, colour] for number, colour in enumerate(colours)],
            "colorbar": {
                "orientation": "h",
                **{"x": 0.02, "xanchor": "left", "y": 0.99, "yanchor": "top"},
                **{"len": 0.4, "thickness": 9, "outlinewidth": 0},
                "title": {"text": "seconds", "side": "top", "font": {"size": 11}},
                "tickfont": {"size": 11},
                "bgcolor": "rgba(255,255,255,0.8)",
            },
        },
    }


def _ranges(frame: Frame) -> dict[str, list[int]]:
    return {"x": [round(frame.min_x), round(frame.max_x)], "y": [round(frame.min_y), round(frame.max_y)]}


def _highest(cost: Sequence[float]) -> float:
    return max(float(np.quantile(cost, _HIGHEST_LEVEL)) if len(cost) else 0.0, 1.0)


def _mixed(colours: Sequence[str], at: float, opacity: float) -> str:
    """Give the colour at a place from 0, the first, to 1, the last."""
    at = min(max(at, 0.0), 1.0) * (len(colours) - 1)
    number = min(int(at), len(colours) - 2)
    pair = [[int(one[i : i + 2], 16) for i in (1, 3, 5)] for one in colours[number : number + 2]]
    parts = [round(low + (high - low) * (at - number)) for low, high in zip(*pair, strict=True)]
    return f"rgba({parts[0]},{parts[1]},{parts[2]},{opacity})"


def _bent(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[list[int], list[int]]:
    """Give points along an arc from the first to the second place (2,), metres."""
    along = np.linspace(0, 1, 9)
    aside = _BEND * 4 * along * (1 - along)
    step_x, step_y = float(x[1] - x[0]), float(y[1] - y[0])
    points = (x[0] + along * step_x + aside * step_y, y[0] + along * step_y - aside * step_x)
    arc_x, arc_y = (np.rint(one).astype(int).tolist() for one in points)
    return arc_x, arc_y
