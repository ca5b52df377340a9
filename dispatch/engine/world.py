"""What the engine reads and never changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.areas import Areas, areas_of
from dispatch.engine.fleet import Fleet
from dispatch.engine.params import DispatchParams
from dispatch.engine.policy import Policy
from dispatch.errors import InputError
from dispatch.kernels import candidates as kernels
from dispatch.kernels.checks import first_outside
from dispatch.kernels.quantiles import first_unsound
from dispatch.roads.all_pairs import AllPairsTimes
from dispatch.roads.city import City
from dispatch.roads.metric import Metric
from dispatch.roads.pace import WHOLE, PacedTimes
from dispatch.roads.spread_times import SpreadTimes
from dispatch.roads.time_of_day import ByTime
from dispatch.roads.travel_times import (
    MatrixTravelTimes,
    NearestByTime,
    NearestFinder,
    TravelTimes,
    UncertainTimes,
    as_nodes,
    check_levels,
)
from dispatch.spatial.grid_index import GridIndex, Neighbours
from dispatch.units import MAX_TRAVEL_MS, MS_PER_S, NO_INDEX, UNREACHABLE_MS

_OURS: Final = (Metric, MatrixTravelTimes, AllPairsTimes, PacedTimes)
"""Travel times that need no second look."""


@dataclass(frozen=True)
class World:
    """A city, its travel times and the parameters; fixed, but for travel times that change with time."""

    city: City
    travel_times: TravelTimes
    """those of the instant that :meth:`at` was asked for"""
    params: DispatchParams
    node_x: NDArray[np.float64]
    node_y: NDArray[np.float64]
    """(nodes,) metres in the city's plane"""
    by_time: ByTime[TravelTimes] | None = None
    """where they change with time"""
    node_rank: NDArray[np.int32] | None = None
    """(nodes,) the taxi rank that each node belongs to, NO_INDEX for none; None: there are no ranks"""
    uncertain: UncertainTimes | None = None
    """the same travel times with how sure they are, where they say so"""

    @classmethod
    def of(
        cls,
        city: City,
        told: TravelTimes | ByTime[TravelTimes],
        params: DispatchParams,
        node_rank: NDArray[np.int32] | None = None,
    ) -> World:
        """Lay the nodes out in the plane, and check that times and ranks (nodes,) are of this network."""
        by_time = told if isinstance(told, ByTime) else None
        # Those of any instant, to be checked: every question is asked of those of its own instant.
        travel_times, uncertain = _told_apart(told.at(0) if isinstance(told, ByTime) else told)
        if not isinstance(travel_times, TravelTimes):
            raise InputError(
                f"travel_times is a {type(travel_times).__name__}: it must have num_nodes and pairs_ms, "
                "as dispatch.roads.travel_times.TravelTimes tells"
            )
        if travel_times.num_nodes != city.graph.num_nodes:
            raise InputError(
                f"travel_times cover {travel_times.num_nodes} nodes, the city has {city.graph.num_nodes}: "
                "they must be of the same network"
            )
        if params.candidates_by == "road" and not isinstance(travel_times, NearestFinder):
            raise InputError(
                f"candidates_by is 'road' and travel_times a {type(travel_times).__name__}: only a Metric "
                "finds the nearest drivers by road; use RoadNetwork.customize, or 'air'"
            )
        _check_risk(params, travel_times, uncertain)
        x, y = city.projection.to_plane(city.graph.node_lon, city.graph.node_lat)
        if node_rank is not None:
            node_rank = as_nodes("node_rank", node_rank)
            if len(node_rank) != len(x) or (node_rank < NO_INDEX).any():
                raise InputError(
                    f"node_rank has {len(node_rank)} rows for {len(x)} nodes: it must hold a rank from 0 on, "
                    f"or {NO_INDEX}, a node"
                )
        return cls(city, travel_times, params, x, y, by_time, node_rank, uncertain)

    def at(self, now_ms: int) -> World:
        """Give the world of an instant, milliseconds since the epoch: with the travel times in force then."""
        if self.by_time is None:
            return self
        told, kept = self.by_time.at(now_ms), self._kept
        if not kept or kept[0][0] is not told:
            travel_times, uncertain = _told_apart(told)
            kept[:] = [(told, replace(self, travel_times=travel_times, uncertain=uncertain))]
        return kept[0][1]

    @cached_property
    def _kept(self) -> list[tuple[TravelTimes, World]]:
        """The world of the instant asked for last, if any: steps share travel times for minutes."""
        return []

    def pairs_ms(self, from_node: NDArray[np.int32], to_node: NDArray[np.int32]) -> NDArray[np.int32]:
        """Give the travel time of each pair (n,); what the caller's own travel times say is checked."""
        told = self.travel_times.pairs_ms(from_node, to_node)
        if isinstance(self.travel_times, _OURS):
            return told
        told = np.asarray(told)
        if told.shape != from_node.shape or told.dtype.kind not in "iu":
            raise InputError(
                f"travel_times.pairs_ms gave {told.dtype} of shape {told.shape}: it must give whole "
                f"milliseconds of shape {from_node.shape}"
            )
        row = first_outside(np.require(told, np.int64, ["C", "W"]), 0, UNREACHABLE_MS)
        if row != NO_INDEX:
            raise InputError(
                f"travel_times.pairs_ms gave {told[row]} ms from node {from_node[row]} to {to_node[row]}: "
                f"it must be from 0 to {UNREACHABLE_MS}"
            )
        return told.astype(np.int32)

    def quantiles_ms(self, from_node: NDArray[np.int32], to_node: NDArray[np.int32]) -> NDArray[np.int32]:
        """Give the quantiles (n, levels) of each pair (n,); what the caller's own times say is checked."""
        assert self.uncertain is not None  # as those who ask have made sure
        told = np.asarray(self.uncertain.quantiles_ms(from_node, to_node))
        shape = (len(from_node), len(self.levels))
        if told.shape != shape or told.dtype.kind not in "iu":
            raise InputError(
                f"travel_times.quantiles_ms gave {told.dtype} of shape {told.shape}: it must give whole "
                f"milliseconds of shape {shape}"
            )
        quantile_ms = np.require(np.clip(told, -1, UNREACHABLE_MS + 1), np.int32, ["C", "W"])
        row = first_unsound(quantile_ms)
        if row != NO_INDEX:
            raise InputError(
                f"travel_times.quantiles_ms gave {told[row].tolist()} ms from node {from_node[row]} to "
                f"{to_node[row]}: they must ascend from 0 to {UNREACHABLE_MS}"
            )
        return quantile_ms

    def ranges_ms(self, from_node: NDArray[np.int32], to_node: NDArray[np.int32]) -> NDArray[np.int32]:
        """Give the quantiles of 10 and 90 % (n, 2) of each pair (n,), or those of the outermost levels."""
        low, high = (np.flatnonzero(np.isclose(self.levels, level)) for level in (0.1, 0.9))
        columns = [int(low[0]) if len(low) else 0, int(high[0]) if len(high) else len(self.levels) - 1]
        return np.ascontiguousarray(self.quantiles_ms(from_node, to_node)[:, columns])

    @cached_property
    def levels(self) -> NDArray[np.float64]:
        """(levels,) at which travel times tell quantiles; none where they do not."""
        return np.array(() if self.uncertain is None else self.uncertain.levels, np.float64)

    def node_of(self, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.int32]:
        """Give the node (n,) at which each place is taken to be, ``NO_INDEX`` off the network.

        That is the nearest node within ``snap_limit_m``, or else the nearer end of the nearest street within
        it: the middle of a long street is far from any node.
        """
        node, _ = self.city.snap(lon, lat, self.params.snap_limit_m)
        alone = np.flatnonzero(node == NO_INDEX)
        if not len(alone):
            return node
        found = self.city.edge_snapper.snap(lon[alone], lat[alone], self.params.snap_limit_m)
        on_street = np.flatnonzero(found.edge != NO_INDEX)
        edge, graph = found.edge[on_street], self.city.graph
        node[alone[on_street]] = np.where(found.share[on_street] < 0.5, graph.tail[edge], graph.head[edge])
        return node

    def snap(self, lon: NDArray[np.float64], lat: NDArray[np.float64], prefix: str) -> NDArray[np.int32]:
        """Give the node of each place (n,); :class:`InputError` names the first off the network."""
        node = self.node_of(lon, lat)
        outside = np.flatnonzero(node == NO_INDEX)
        if len(outside):
            self.check_not_swapped(lon, lat, node, prefix)
            row = outside[0]
            raise InputError(
                f"{prefix}lon[{row}], {prefix}lat[{row}] is {lon[row]:.6f}, {lat[row]:.6f}: no node of "
                f"{self.city.name} lies within {self.params.snap_limit_m:g} m; leave out what is elsewhere"
            )
        return node

    def check_not_swapped(
        self, lon: NDArray[np.float64], lat: NDArray[np.float64], node: NDArray[np.int32], prefix: str = ""
    ) -> None:
        """Refuse places without a `node` (n,) that have one with longitude and latitude swapped."""
        outside = np.flatnonzero((node == NO_INDEX) & (np.abs(lon) <= 90))
        if not len(outside):
            return
        swapped = outside[self.node_of(lat[outside], lon[outside]) != NO_INDEX]
        if len(swapped):
            row = swapped[0]
            raise InputError(
                f"{prefix}lon[{row}], {prefix}lat[{row}] is {lon[row]:.6f}, {lat[row]:.6f}: longitude and "
                f"latitude look swapped, the other way round the place is in {self.city.name}"
            )

    def free_drivers(self, fleet: Fleet, now_ms: int) -> NDArray[np.int32]:
        """Give the rows of idle drivers on the network who get orders, with a fresh position."""
        return fleet.idle_rows(now_ms - round(self.params.stale_position_s * MS_PER_S))

    def nearest_by_road(
        self, driver_node: NDArray[np.int32], pickup_node: NDArray[np.int32]
    ) -> NearestByTime:
        """Find those of the drivers at nodes (drivers,) who are first at each pickup (n,).

        As many as ``candidates_per_order``, within ``max_pickup_s``.
        """
        assert isinstance(self.travel_times, NearestFinder)  # as World.of has checked
        max_ms = min(round(self.params.max_pickup_s * MS_PER_S), MAX_TRAVEL_MS)
        k = self.params.candidates_per_order
        return self.travel_times.nearest(driver_node, pickup_node, k, max_ms)

    @cached_property
    def places(self) -> kernels.Places:
        """Where nodes are, as kernels take it."""
        no_ranks = np.empty(0, np.int32)
        return kernels.Places(
            self.node_x, self.node_y, no_ranks if self.node_rank is None else self.node_rank
        )

    @cached_property
    def timetable(self) -> kernels.Timetable | None:
        """A table of all pairs and its pace, where that tells the travel times."""
        times = self.travel_times
        base = times.base if isinstance(times, PacedTimes) else times
        if not isinstance(base, AllPairsTimes):
            return None
        pace = times.permille if isinstance(times, PacedTimes) else WHOLE
        return kernels.Timetable(base.table, pace)

    @cached_property
    def areas(self) -> Areas:
        """Squares of the city, for forecasts."""
        return areas_of(self.node_x, self.node_y)

    @cached_property
    def is_plain(self) -> bool:
        """Whether the policy does no more than to match open orders with drivers near by air, in batches."""
        policy = self.params.rules
        changes_costs = policy.weighs_people or policy.starvation_s or policy.risk_cost_s
        changes_costs = changes_costs or policy.reassign_gain_s or policy.reassign_on_miss
        is_batch = policy.matching == "batch" and not policy.is_own
        is_explained = self.params.keep_explanations > 0
        return is_batch and not (changes_costs or is_explained) and self.params.candidates_by == "air"

    @cached_property
    def offer_timeout_ms(self) -> int:
        """After so long an offer times out."""
        return round(self.params.offer_timeout_s * MS_PER_S)

    @cached_property
    def advise_every_ms(self) -> int:
        """How often idle drivers are advised where to wait; 0: never."""
        return round(self.params.rules.preposition_every_s * MS_PER_S)

    @cached_property
    def reestimate_every_ms(self) -> int:
        """How often pickups under way are estimated anew; 0: never."""
        told_ms = round(self.params.reestimate_every_s * MS_PER_S)
        return max(told_ms, 1) if told_ms or self.params.rules.reassign_on_miss else 0

    @cached_property
    def rules(self) -> kernels.Rules:
        """What parameters and policy say of candidates, as kernels take it."""
        params, policy = self.params, self.params.rules
        return kernels.Rules(
            params.candidates_per_order,
            round(params.stale_position_s * MS_PER_S),
            round(params.prebook_lead_s * MS_PER_S),
            round(policy.chain_before_dropoff_s * MS_PER_S),
            _who_may_change(policy),
            round(params.max_pickup_s * MS_PER_S),
            round(policy.patient_base_s * MS_PER_S),
            float(policy.patient_slope),
            round(policy.least_gain_s * MS_PER_S),
            0 if policy.is_own else round(policy.starvation_s * MS_PER_S),
        )

    def nearest_drivers(
        self,
        fleet: Fleet,
        driver_idx: NDArray[np.int32],
        pickup_node: NDArray[np.int32],
        class_bits: NDArray[np.int64],
        skills: int,
    ) -> Neighbours:
        """Find the nearest of these drivers by air, ``candidates_per_order`` for each pickup (n,).

        Only those who hold certain skills, and whose cars have one of the bits (n,) that is asked for.
        """
        index = GridIndex(fleet.x[driver_idx], fleet.y[driver_idx], fleet.class_bits[driver_idx])
        return index.nearest(
            self.node_x[pickup_node],
            self.node_y[pickup_node],
            self.params.candidates_per_order,
            available=(fleet.skills[driver_idx] & skills) == skills,
            classes=class_bits,
        )


def _told_apart(told: TravelTimes) -> tuple[TravelTimes, UncertainTimes | None]:
    """Give travel times, and the same with how sure they are, where they say so.

    What is spread around others by fixed ratios stands for these: kernels know them.
    """
    if isinstance(told, SpreadTimes):
        return told.base, told
    return told, told if isinstance(told, UncertainTimes) else None


def _check_risk(params: DispatchParams, told: TravelTimes, uncertain: UncertainTimes | None) -> None:
    """Refuse a price of risk without quantiles, and levels of quantiles that are none."""
    if uncertain is not None:
        check_levels(tuple(uncertain.levels))
    elif params.rules.risk_cost_s > 0:
        raise InputError(
            f"risk_cost_s is {params.rules.risk_cost_s!r} and travel_times a {type(told).__name__}: only "
            "dispatch.roads.travel_times.UncertainTimes say how likely a promise is missed; use SpreadTimes "
            "or learnt times, or 0"
        )


def _who_may_change(policy: Policy) -> int:
    """Give which orders take part in matching whose driver is on the way, as kernels take it."""
    if policy.is_own:
        return kernels.NEVER
    if policy.reassign_gain_s > 0:
        return kernels.ALWAYS
    return kernels.ON_MISS if policy.reassign_on_miss else kernels.NEVER
