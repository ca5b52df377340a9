"""The map of a report: where customers waited, and how long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dispatch.analysis.charts import Figure, RunTables, layout
from dispatch.analysis.city_map import Frame, frame_of, street_lines, water_path
from dispatch.analysis.formatting import format_duration
from dispatch.analysis.order_table import OrderTable
from dispatch.roads.city import City
from dispatch.units import MS_PER_S, NO_COORDINATE, NO_VALUE

MAX_POINTS: Final = 8000
"""Pickups drawn over all maps of a report: more would make the page slow, and hide one another."""
_DEGREES_PER_E6: Final = 1e-6
_STREET_LOOKS: Final = (("#c3cad2", 2.2), ("#d3d9df", 1.3), ("#e6eaee", 0.8))
_WATER_COLOUR: Final = "#e9f2fa"
_WAIT_CLASSES: Final = (
    (180, "up to 3 min", "#2166ac"),
    (300, "3–5 min", "#67a9cf"),
    (600, "5–10 min", "#f4a259"),
    (np.inf, "over 10 min", "#b2182b"),
)
"""Upper limit in seconds; blue within five minutes, orange and red beyond: safe for the colour-blind."""
_UNSERVED_COLOUR: Final = "#1f2933"


class CityMap:
    """The frame and the streets, once for all runs.

    Parameters
    ----------
    city : City
    tables : sequence of RunTables
        Their pickups decide what part of the city is shown.
    """

    def __init__(self, city: City, tables: Sequence[RunTables]) -> None:
        self.city = city
        self.max_points = MAX_POINTS // len(tables)
        places = [self._place(one.orders) for one in tables]
        self.frame = frame_of(
            np.concatenate([x[known] for x, _, known in places]),
            np.concatenate([y[known] for _, y, known in places]),
            city,
        )
        self.streets = [
            {
                "type": "scatter",
                "mode": "lines",
                "x": lines.x,
                "y": lines.y,
                "line": {"color": colour, "width": width},
                "hoverinfo": "skip",
                "showlegend": False,
            }
            for lines, (colour, width) in reversed(
                list(zip(street_lines(city, self.frame), _STREET_LOOKS, strict=True))
            )
            if lines.x
        ]
        """Traces, the least streets first; every map begins with them"""

    def _place(
        self, orders: OrderTable
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        known = (orders.pickup_lon_e6 != NO_COORDINATE) & (orders.pickup_lat_e6 != NO_COORDINATE)
        lon, lat = (
            np.where(known, e6, 0) * _DEGREES_PER_E6 for e6 in (orders.pickup_lon_e6, orders.pickup_lat_e6)
        )
        x, y = self.city.projection.to_plane(lon, lat)
        return x, y, known

    def figure(self, one: RunTables) -> tuple[Figure, str]:
        """Draw the pickups of one run; traces of streets are left out, see :attr:`streets`.

        Returns
        -------
        figure : dict
        note : str
            What part of the orders is drawn.
        """
        orders = one.orders
        x, y, known = self._place(orders)
        frame = self.frame
        shown = np.flatnonzero(
            known & (x >= frame.min_x) & (x <= frame.max_x) & (y >= frame.min_y) & (y <= frame.max_y)
        )
        num_inside = len(shown)
        if num_inside > self.max_points:
            # Seeded: the same log draws the same map.
            shown = np.sort(np.random.default_rng(0).choice(shown, self.max_points, replace=False))
        picked_up = orders.picked_up_at_ms != NO_VALUE
        wait_s = np.where(picked_up, orders.picked_up_at_ms - orders.submitted_at_ms, 0) / MS_PER_S
        lost = (orders.cancelled_at_ms != NO_VALUE) | (orders.expired_at_ms != NO_VALUE)
        traces = []
        above = -np.inf
        for limit, label, colour in _WAIT_CLASSES:
            rows = shown[picked_up[shown] & (wait_s[shown] <= limit) & (wait_s[shown] > above)]
            text = [format_duration(float(wait)) for wait in wait_s[rows]]
            traces.append(_dots(x[rows], y[rows], label, {"color": colour, "size": 5, "opacity": 0.8}, text))
            above = limit
        rows = shown[lost[shown] & ~picked_up[shown]]
        cross = {"color": _UNSERVED_COLOUR, "size": 6, "symbol": "x-thin-open", "line": {"width": 1.3}}
        traces.append(_dots(x[rows], y[rows], "not served", cross, ["not served"] * len(rows)))
        return {"data": traces, "layout": self._layout()}, self._note(len(shown), num_inside, len(orders))

    def _note(self, num_shown: int, num_inside: int, num_orders: int) -> str:
        parts = []
        if num_shown < num_inside:
            parts.append(f"A random sample of {num_shown:,} of {num_inside:,} pickups.")
        if num_inside < num_orders:
            parts.append(f"{num_orders - num_inside:,} pickups lie outside of the map.")
        return " ".join(parts)

    def _layout(self) -> Figure:
        frame = self.frame
        bare = {"visible": False, "constrain": "domain"}
        look = layout(
            "",
            "",
            xaxis={**bare, "range": [round(frame.min_x), round(frame.max_x)]},
            yaxis={**bare, "range": [round(frame.min_y), round(frame.max_y)], "scaleanchor": "x"},
            height=640,
            hovermode="closest",
            margin={"l": 0, "r": 0, "t": 8, "b": 0},
        )
        bar_m, shapes, texts = _scale_bar(frame)
        water = water_path(self.city, frame)
        if water:
            area = {"type": "path", "path": water, "fillcolor": _WATER_COLOUR, "line": {"width": 0}}
            shapes.insert(0, {**area, "fillrule": "evenodd", "layer": "below"})
        return {**look, "shapes": shapes, "annotations": texts, "meta": {"scale_bar_m": bar_m}}


def _dots(
    x: NDArray[np.float64], y: NDArray[np.float64], name: str, marker: Figure, text: list[str]
) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": np.rint(x).astype(np.int64).tolist(),
        "y": np.rint(y).astype(np.int64).tolist(),
        "name": f"{name} ({len(x):,})",
        "marker": marker,
        "text": text,
        "hovertemplate": "%{text}<extra></extra>",
    }


def _scale_bar(frame: Frame) -> tuple[int, list[Any], list[Any]]:
    """A bar of a round length in the lower left, about a sixth of the map wide."""
    goal = frame.width_m / 6
    size = 10 ** int(np.floor(np.log10(goal)))
    bar_m = int(max(step * size for step in (1, 2, 5) if step * size <= goal))
    x, y = frame.min_x + 0.03 * frame.width_m, frame.min_y + 0.03 * frame.height_m
    line = {
        "type": "line",
        "x0": x,
        "x1": x + bar_m,
        "y0": y,
        "y1": y,
        "line": {"color": "#3d4852", "width": 2},
    }
    text = f"{bar_m / 1000:g} km" if bar_m >= 1000 else f"{bar_m} m"
    label = {
        "x": x + bar_m / 2,
        "y": y,
        "text": text,
        "showarrow": False,
        "yanchor": "bottom",
        "font": {"size": 11},
    }
    return bar_m, [line], [label]
