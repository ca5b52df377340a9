"""Vehicles under way along shortest paths."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatch.kernels.movement import Legs, locate, set_legs
from dispatch.roads.graph import RoadGraph
from dispatch.roads.travel_times import Paths


class Places(NamedTuple):
    """Where vehicles are."""

    lon: NDArray[np.float64]
    """(n,) degrees"""
    lat: NDArray[np.float64]
    node: NDArray[np.int32]
    """(n,) nearest node of the path, by time"""


class Movement:
    """The leg that each vehicle drives, and its place at any instant."""

    def __init__(self, num_vehicles: int, graph: RoadGraph) -> None:
        self._graph = graph
        self._legs = self._allocate(num_vehicles, 64)

    @staticmethod
    def _allocate(num_vehicles: int, width: int) -> Legs:
        return Legs(
            np.zeros((num_vehicles, width), np.int32),
            np.zeros((num_vehicles, width), np.int32),
            np.zeros(num_vehicles, np.int32),
            np.zeros(num_vehicles, np.int64),
            np.zeros(num_vehicles, np.int64),
        )

    def depart(
        self,
        vehicles: NDArray[np.int32],
        paths: Paths,
        start_at_ms: NDArray[np.int64],
        duration_ms: NDArray[np.int64],
    ) -> None:
        """Send `vehicles` (n,) along their `paths`, each stretched in time to `duration_ms` (n,)."""
        widest = int(np.diff(paths.first).max(initial=0))
        if widest > self._legs.node.shape[1]:
            self._widen(2 * widest)
        set_legs(vehicles, paths.first, paths.node, paths.at_ms, self._legs)
        self._legs.start_at_ms[vehicles] = start_at_ms
        self._legs.duration_ms[vehicles] = duration_ms

    def _widen(self, width: int) -> None:
        old, old_width = self._legs, self._legs.node.shape[1]
        self._legs = self._allocate(len(old.num_nodes), width)
        self._legs.node[:, :old_width], self._legs.at_ms[:, :old_width] = old.node, old.at_ms
        for name in ("num_nodes", "start_at_ms", "duration_ms"):
            getattr(self._legs, name)[:] = getattr(old, name)

    def places(self, vehicles: NDArray[np.int32], now_ms: int) -> Places:
        """Locate `vehicles` (n,), each of which has a leg; before its start and after its end they stand."""
        node, ahead = np.empty(len(vehicles), np.int32), np.empty(len(vehicles), np.int32)
        share = np.empty(len(vehicles), np.float64)
        locate(vehicles, now_ms, self._legs, node, ahead, share)
        lon, lat = self._graph.node_lon, self._graph.node_lat
        return Places(
            lon[node] + share * (lon[ahead] - lon[node]),
            lat[node] + share * (lat[ahead] - lat[node]),
            np.where(share < 0.5, node, ahead),
        )
