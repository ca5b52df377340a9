"""The map of a report: where customers waited, and how long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.analysis.charts import Figure, RunTables, layout
from dispatch.analysis.city_map import Frame, frame_of, map_svg
from dispatch.analysis.formatting import format_duration, format_share
from dispatch.analysis.order_table import OrderTable
from dispatch.analysis.statistics import share
from dispatch.roads.city import City
from dispatch.units import MS_PER_S, NO_COORDINATE, NO_VALUE

MAX_POINTS: Final = 6000
"""Pickups drawn over all maps of a report: more would make the page slow, and hide one another."""
_DEGREES_PER_E6: Final = 1e-6
_WAIT_CLASSES: Final = (
    (180, "up to 3 min", "#2166ac"),
    (300, "3–5 min", "#67a9cf"),
    (600, "5–10 min", "#f4a259"),
    (np.inf, "over 10 min", "#b2182b"),
)
"""Upper limit in seconds; blue within five minutes, orange and red beyond: safe for the colour-blind."""
_UNSERVED: Final = len(_WAIT_CLASSES)
_MARKERS: Final = (
    *(
        (limit, label, {"color": colour, "size": 5, "opacity": 0.85})
        for limit, label, colour in _WAIT_CLASSES
    ),
    (
        np.inf,
        "not served",
        {"color": "#1f2933", "size": 6, "symbol": "x-thin-open", "line": {"width": 1.3}},
    ),
)
_NUM_LAYERS: Final = 6


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
        self.wide = self.frame.widened(city)
        self.svg = map_svg(city, self.wide)
        """Streets and water, the background of every map"""

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
        """Draw the pickups of one run; the page puts :attr:`svg` behind them.

        Returns
        -------
        figure : dict
        note : str
            What part of the orders is drawn.
        """
        orders = one.orders
        x, y, known = self._place(orders)
        frame = self.frame
        inside = np.flatnonzero(
            known & (x >= frame.min_x) & (x <= frame.max_x) & (y >= frame.min_y) & (y <= frame.max_y)
        )
        shown = inside
        if len(inside) > self.max_points:
            # Seeded: the same log draws the same map.
            shown = np.sort(np.random.default_rng(0).choice(inside, self.max_points, replace=False))
        kind = _wait_class(orders)
        num_of_kind = np.bincount(kind[inside], minlength=len(_MARKERS) + 1)
        wait_s = orders.wait_ms / MS_PER_S
        layers = np.array_split(np.random.default_rng(1).permutation(shown), _NUM_LAYERS)
        traces = []
        # Each layer holds all classes: drawn one class over the other, the last would hide the rest.
        for layer, rows in enumerate(layers):
            for number, (_, label, marker) in enumerate(_MARKERS):
                of_kind = rows[kind[rows] == number]
                name = f"{label} ({format_share(share(num_of_kind[number], len(inside)))})"
                if number == _UNSERVED:
                    text = ["not served"] * len(of_kind)
                else:
                    text = [format_duration(float(wait)) for wait in wait_s[of_kind]]
                traces.append(
                    {
                        "type": "scatter",
                        "mode": "markers",
                        "x": np.rint(x[of_kind]).astype(np.int64).tolist(),
                        "y": np.rint(y[of_kind]).astype(np.int64).tolist(),
                        "name": name,
                        "legendgroup": label,
                        "showlegend": layer == 0,
                        "marker": marker,
                        "text": text,
                        "hovertemplate": "%{text}<extra></extra>",
                    }
                )
        # On a narrow screen the page shows the frame without what stands beside it.
        figure = {"data": traces, "layout": self._layout(), "narrow": _ranges(self.frame)}
        return figure, self._note(len(shown), len(inside), len(orders))

    def _note(self, num_shown: int, num_inside: int, num_orders: int) -> str:
        parts = []
        if num_shown < num_inside:
            parts.append(f"A random sample of {num_shown:,} of {num_inside:,} pickups.")
        if num_inside < num_orders:
            parts.append(f"{num_orders - num_inside:,} pickups lie outside of the map.")
        return " ".join(parts)

    def _layout(self) -> Figure:
        wide = _ranges(self.wide)
        bare = {"visible": False, "constrain": "domain"}
        shapes, texts = _scale_bar(self.frame)
        # The page fills in the picture's source, which all maps share.
        background = {
            **{"xref": "x", "yref": "y", "x": self.wide.min_x, "y": self.wide.max_y},
            **{
                "sizex": self.wide.width_m,
                "sizey": self.wide.height_m,
                "sizing": "stretch",
                "layer": "below",
            },
        }
        return layout(
            "",
            "",
            xaxis={**bare, "range": wide["x"]},
            yaxis={**bare, "range": wide["y"], "scaleanchor": "x"},
            height=640,
            hovermode="closest",
            showlegend=True,
            legend={"orientation": "h", "x": 0, "y": -0.01, "yanchor": "top", "itemsizing": "constant"},
            margin={"l": 0, "r": 0, "t": 8, "b": 0},
            shapes=shapes,
            annotations=texts,
            images=[background],
        )


def _ranges(frame: Frame) -> dict[str, list[int]]:
    return {"x": [round(frame.min_x), round(frame.max_x)], "y": [round(frame.min_y), round(frame.max_y)]}


def _wait_class(orders: OrderTable) -> NDArray[np.int64]:
    """(orders,) row in :data:`_MARKERS`; the row after its last of orders that are still open."""
    wait_s = orders.wait_ms / MS_PER_S
    kind = np.searchsorted(np.array([limit for limit, _, _ in _WAIT_CLASSES]), wait_s)
    lost = (orders.cancelled_at_ms != NO_VALUE) | (orders.expired_at_ms != NO_VALUE)
    unserved = np.where(lost, _UNSERVED, len(_MARKERS))
    return np.where(orders.picked_up_at_ms != NO_VALUE, kind, unserved).astype(np.int64)


def _scale_bar(frame: Frame) -> tuple[list[Figure], list[Figure]]:
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
    return [line], [label]
