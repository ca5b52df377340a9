"""A model's ETAs, as the engine asks for travel times: medians and quantiles between nodes at an instant."""

from __future__ import annotations

import threading
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.errors import InputError
from dispatch.eta.edge_times import week_slot
from dispatch.eta.features import COLUMNS
from dispatch.eta.ground import part_of_week
from dispatch.eta.live import LiveQueries, LiveTraffic
from dispatch.eta.model import EtaModel
from dispatch.eta.pair_effects import LEVELS
from dispatch.kernels import eta_predict as kernels
from dispatch.kernels.boosted_trees import BLOCK_ROWS, workspace_for
from dispatch.kernels.jit import direct
from dispatch.kernels.route_features import Drives
from dispatch.limits import check_range
from dispatch.roads.travel_times import NearestByTime, Paths, as_nodes, check_nodes, node_pairs
from dispatch.roads.week_slots import slots_of
from dispatch.units import DURATION_DTYPE, INDEX_DTYPE, MAX_TRAVEL_MS, MS_PER_S, UNREACHABLE_MS

MEDIANS: Final = 2
"""How many of a model's forests tell the median."""
_NOBODY: Final = np.iinfo(np.int64).min
_PREDICT: Final = direct("eta_predict.predict")

Numbers = NDArray[np.float64]


class _Memory(NamedTuple):
    """What one thread predicts with."""

    model: kernels.Model
    columns: NDArray[np.float32]
    """(columns and one more, rows of a block)"""


class EtaTimes:
    """The travel times of a model by time: give it to a dispatcher as its travel times.

    Any number of threads may ask. What is in force is remade every `remake_every_s`, swapped whole.

    Parameters
    ----------
    model : EtaModel
    live : LiveTraffic, optional
        Of the same city: what live pings told counts for ETAs.
    remake_every_s : float
        Seconds for which travel times hold, 1 … 3600.

    Raises
    ------
    InputError
        `remake_every_s` is out of range, or `live` is of another city.
    """

    def __init__(
        self, model: EtaModel, live: LiveTraffic | None = None, remake_every_s: float = 30.0
    ) -> None:
        check_range("remake_every_s", remake_every_s, 1.0, 3600.0, "seconds")
        num_arcs = model.city.graph.num_arcs
        if live is not None and live.num_arcs != num_arcs:
            raise InputError(f"live has {live.num_arcs} arcs: {model.city.name} has {num_arcs}")
        self.model, self.live = model, live
        self._every_ms = round(remake_every_s * MS_PER_S)
        self._memory = threading.local()
        self._latest: EtaAt | None = None

    def at(self, at_ms: int) -> EtaAt:
        """Give the travel times of an instant, milliseconds since the epoch."""
        latest, begins_ms = self._latest, at_ms // self._every_ms * self._every_ms
        if latest is None or latest.at_ms != begins_ms:
            self._latest = latest = EtaAt(self, begins_ms)
        return latest

    def memory(self) -> _Memory:
        """Give the memory of the thread that asks."""
        held: _Memory | None = getattr(self._memory, "held", None)
        if held is None:
            trees = tuple(forest.trees for forest in self.model.forests)
            base = np.array([kernels.TRIPS_S, kernels.PROBES_S, *[kernels.TRIPS_S] * 3])
            memo = np.empty((2, len(LEVELS.size_m)), np.int64)
            model = kernels.Model(trees, tuple(workspace_for(one) for one in trees), base, memo)
            held = _Memory(model, np.zeros((len(COLUMNS) + 1, BLOCK_ROWS), np.float32))
            self._memory.held = held
        return held


class EtaAt:
    """The travel times of an instant; an :class:`~dispatch.roads.travel_times.UncertainTimes`.

    Drives begin and end at nodes, and nobody knows who drives. It never changes.
    """

    def __init__(self, times: EtaTimes, at_ms: int) -> None:
        self._times, self._model, self.at_ms = times, times.model, at_ms
        city = self._model.city
        minute = slots_of([at_ms], city.timezone, 1)
        self._hour = float(minute[0] % 1440) / 60.0
        self._moment = int(minute[0]), int(week_slot([at_ms], city.timezone)[0]), int(part_of_week(minute)[0])
        self._ground = self._model.kernel_ground
        self._now = self._live_now()

    def _live_now(self) -> kernels.Now:
        live, num_arcs = self._times.live, self._model.city.graph.num_arcs
        if live is None or live.clock_ms is None:
            return kernels.Now(0.0, np.empty((0, kernels.EDGE_KNOWN), np.float32))
        # A query for each edge of its own: what is known of it, and of where it lies.
        every = LiveQueries(
            np.full(num_arcs, self.at_ms, np.int64),
            np.arange(num_arcs + 1, dtype=np.int64),
            np.arange(num_arcs, dtype=INDEX_DTYPE),
            np.ones(num_arcs),
            np.full(num_arcs, _NOBODY, np.int64),
        )
        known = live.known(every)
        edge = np.ascontiguousarray(known[:, 1 : 1 + kernels.EDGE_KNOWN])
        edge[:, 0] = np.exp(edge[:, 0])
        return kernels.Now(float(known[0, 0]), edge)

    @property
    def num_nodes(self) -> int:
        """Number of nodes."""
        return self._model.city.graph.num_nodes

    @property
    def levels(self) -> tuple[float, ...]:
        """Levels of quantiles."""
        return self._model.levels

    def pairs_ms(self, from_node: ArrayLike, to_node: ArrayLike) -> NDArray[np.int32]:
        """Give the median travel time of each pair of nodes (n,); ``UNREACHABLE_MS`` where no road leads."""
        pairs = self._pairs(from_node, to_node)
        seconds, has_way = self._predicted(*pairs, MEDIANS)
        return _as_ms(np.maximum(seconds.mean(axis=0), 1.0), has_way, pairs[0] == pairs[1])

    def quantiles_ms(self, from_node: ArrayLike, to_node: ArrayLike) -> NDArray[np.int32]:
        """Give the quantiles (n, levels) of each pair of nodes (n,)."""
        pairs = self._pairs(from_node, to_node)
        told, has_way = self._predicted(*pairs, kernels.NUM_FORESTS)
        median = np.maximum(told[:MEDIANS].mean(axis=0), 1.0)
        low, high, highest = np.maximum(told[MEDIANS:], 1.0)
        quantile_s = np.stack([low, median, high, highest], axis=1)
        hour = np.full(len(median), self._hour)
        quantile_s = self._model.calibration.applied(median, quantile_s, hour)
        return _as_ms(quantile_s, has_way[:, None], (pairs[0] == pairs[1])[:, None])

    def paths(self, from_node: NDArray[np.int32], to_node: NDArray[np.int32]) -> Paths:
        """Give the way of each pair of nodes (n,), with times of an ordinary hour along it."""
        return self._model.ground.metric.paths(from_node, to_node)

    def nearest(self, drivers: ArrayLike, orders: ArrayLike, k: int, max_ms: int) -> NearestByTime:
        """Find the drivers (m,) who are first at each order (n,) at an ordinary hour, sorted by their ETAs.

        These may be above `max_ms`, which bounds the times of an ordinary hour.
        """
        found = self._model.ground.metric.nearest(drivers, orders, k, max_ms)
        row = np.repeat(np.arange(len(found.first) - 1), np.diff(found.first))
        ms = self.pairs_ms(as_nodes("drivers", drivers)[found.item], as_nodes("orders", orders)[row])
        by_eta = np.lexsort((ms, row))
        return NearestByTime(found.first, found.item[by_eta], ms[by_eta])

    def _pairs(self, from_node: ArrayLike, to_node: ArrayLike) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        pairs = node_pairs(from_node, to_node)
        check_nodes("from_node", pairs[0], self.num_nodes)
        check_nodes("to_node", pairs[1], self.num_nodes)
        return pairs

    def _predicted(
        self, from_node: NDArray[np.int32], to_node: NDArray[np.int32], num_forests: int
    ) -> tuple[Numbers, NDArray[np.bool_]]:
        """Give the seconds of the first forests (forests, n), and which pairs have a way (n,)."""
        ground, num = self._model.ground, len(from_node)
        first, edge = ground.routes(from_node, to_node)
        x, y = ground.streets.node_x, ground.streets.node_y
        drives = Drives(
            *(x[from_node], y[from_node], x[to_node], y[to_node], from_node, to_node),
            *(np.full(num, value, INDEX_DTYPE) for value in self._moment),
        )
        out_s, memory = np.empty((num_forests, num)), self._times.memory()
        asked = kernels.Asked(drives, first, edge)
        _PREDICT.call(asked, self._ground, self._now, memory.model, num_forests, memory.columns, out_s)
        return out_s, (np.diff(first) > 0) | (from_node == to_node)


def _as_ms(seconds: Numbers, has_way: NDArray[np.bool_], is_there: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Give whole milliseconds: 0 for who is there already, ``UNREACHABLE_MS`` where no road leads."""
    travel_ms = np.clip(np.rint(seconds * MS_PER_S), 1, MAX_TRAVEL_MS).astype(DURATION_DTYPE)
    travel_ms = np.where(has_way, travel_ms, UNREACHABLE_MS)
    return np.where(is_there, 0, travel_ms).astype(DURATION_DTYPE)
