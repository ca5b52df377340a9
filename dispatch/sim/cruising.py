"""How drivers without an order move: where they go next, how long they stay, how fast they drive."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.kernels.cruising import Cruise
from dispatch.limits import check_range
from dispatch.roads.city import City
from dispatch.roads.graph import RoadGraph
from dispatch.roads.pings import RecordedPings
from dispatch.sim.cells import Cells, cut_into_cells
from dispatch.units import MS_PER_DAY, MS_PER_S

HOURS: Final = 24


@dataclass(frozen=True)
class CruiseHabits:
    """What a driver does who follows a made-up rule; the defaults are what San Francisco's taxis did.

    Parameters
    ----------
    stay_share : float
        Probability that the next decision is to stay, 0 to 1.
    stay_s : float
        Mean length of a stay, seconds.
    slowness : float
        Time of a cruising leg / its free-flow time.
    decay_m : float
        A cell so much farther away attracts 1/e as much; metres. For drifting only.
    """

    stay_share: float = 0.2
    stay_s: float = 430.0
    slowness: float = 1.8
    decay_m: float = 600.0

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_range("stay_share", self.stay_share, 0, 1)
        check_range("stay_s", self.stay_s, 1, 86_400, "seconds")
        check_range("slowness", self.slowness, 0.1, 20)
        check_range("decay_m", self.decay_m, 1, 1e6, "metres")


@dataclass(frozen=True)
class CruiseModel:
    """The next move of an idle driver, by local hour and by where it is.

    Sums run along the last axis of a table and end in exactly 1. Arrays are C-contiguous and writable; they
    are never written after construction.
    """

    cell_of_node: NDArray[np.int32]
    """(nodes,)"""
    first_of_cell: NDArray[np.int32]
    """(cells + 1,) cell ``c`` has the entries ``first_of_cell[c] … first_of_cell[c + 1] - 1``"""
    node_of_cell: NDArray[np.int32]
    """(nodes,) nodes, cell by cell"""
    node_cum: NDArray[np.float64]
    """(nodes,) probabilities of `node_of_cell`, as running sums within each cell"""
    stay_share: NDArray[np.float64]
    """(24,) probability that a decision is to stay"""
    stay_ms: NDArray[np.int64]
    """(24,) mean length of a stay, exponentially distributed; at least a second"""
    target_cum: NDArray[np.float64]
    """(24, cells, cells) probabilities of the next cell, given hour and cell, as running sums"""
    slowness: float
    """Time of a cruising leg / its free-flow time"""

    def __post_init__(self) -> None:
        """Refuse shapes that do not fit each other and values out of range."""
        num_nodes, num_cells = len(self.cell_of_node), len(self.first_of_cell) - 1
        for name, shape in (
            ("node_of_cell", (num_nodes,)),
            ("node_cum", (num_nodes,)),
            ("stay_share", (HOURS,)),
            ("stay_ms", (HOURS,)),
            ("target_cum", (HOURS, num_cells, num_cells)),
        ):
            if getattr(self, name).shape != shape:
                raise InputError(f"{name} has the shape {getattr(self, name).shape}: it must be {shape}")
        expected = np.bincount(self.cell_of_node, minlength=num_cells)
        cell_of_entry = np.repeat(np.arange(num_cells), np.diff(self.first_of_cell))
        if not (
            np.array_equal(np.diff(self.first_of_cell), expected)
            and expected.all()
            and np.array_equal(self.cell_of_node[self.node_of_cell], cell_of_entry)
        ):
            raise InputError(
                "node_of_cell does not list the nodes of each cell, at least one, as cell_of_node does"
            )
        firsts = self.first_of_cell[:-1]
        steps = np.diff(self.node_cum, prepend=0)
        steps[firsts] = self.node_cum[firsts]
        if not (
            (self.target_cum[..., -1] == 1).all()
            and (self.node_cum[self.first_of_cell[1:] - 1] == 1).all()
            and (np.diff(self.target_cum, prepend=0) >= 0).all()
            and (steps >= 0).all()
        ):
            raise InputError("target_cum and node_cum must be running sums that end in exactly 1")
        check_range("slowness", self.slowness, 0.1, 20)
        check_range("the least of stay_share", float(self.stay_share.min()), 0, 1)
        check_range("the largest of stay_share", float(self.stay_share.max()), 0, 1)
        check_range("the least of stay_ms", int(self.stay_ms.min()), MS_PER_S)

    @property
    def num_cells(self) -> int:
        """Number of cells."""
        return len(self.first_of_cell) - 1

    @cached_property
    def arrays(self) -> Cruise:
        """The same as :func:`dispatch.kernels.cruising.next_move` reads it."""
        return Cruise(
            self.cell_of_node,
            self.first_of_cell,
            self.node_of_cell,
            self.node_cum,
            self.stay_share,
            self.stay_ms,
            self.target_cum,
            float(self.slowness),
        )

    @classmethod
    def parked(cls, graph: RoadGraph) -> CruiseModel:
        """Give drivers who wait where they dropped off their last passenger."""
        only = np.zeros(graph.num_nodes, np.int32)
        return assemble(
            only,
            np.ones(graph.num_nodes),
            np.ones((HOURS, 1, 1)),
            (np.ones(HOURS), np.full(HOURS, MS_PER_DAY)),
            1.0,
        )

    @classmethod
    def random_walk(cls, city: City, habits: CruiseHabits | None = None) -> CruiseModel:
        """Give drivers who drive to one of the up to eight cells around theirs, each as likely."""
        habits, cells = habits or CruiseHabits(), cut_into_cells(city)
        targets = np.broadcast_to(cells.neighbours().astype(np.float64), (HOURS, len(cells), len(cells)))
        return _by_habits(cells, targets, habits)

    @classmethod
    def drift(
        cls,
        city: City,
        pickup_node: NDArray[np.int32],
        hour_of_pickup: NDArray[np.integer],
        habits: CruiseHabits | None = None,
    ) -> CruiseModel:
        """Give drivers who drift towards demand: a cell attracts by its pickups and by being near.

        Parameters
        ----------
        city : City
        pickup_node : (pickups,) int32
            At least one.
        hour_of_pickup : (pickups,) int
            Local hour, 0 to 23. Where an hour has few pickups, those of all hours count too.
        habits : CruiseHabits, optional

        Raises
        ------
        InputError
            There are no pickups, or a node or hour is out of range.
        """
        habits, cells = habits or CruiseHabits(), cut_into_cells(city)
        if not len(pickup_node) or len(pickup_node) != len(hour_of_pickup):
            raise InputError(
                f"there are {len(pickup_node)} pickups and {len(hour_of_pickup)} hours: drifting needs at "
                "least one pickup, and the hour of each"
            )
        for name, values, end in (
            ("pickup_node", pickup_node, city.graph.num_nodes),
            ("hour_of_pickup", hour_of_pickup, HOURS),
        ):
            wrong = np.flatnonzero((np.asarray(values) < 0) | (np.asarray(values) >= end))
            if len(wrong):
                raise InputError(f"{name}[{wrong[0]}] is {values[wrong[0]]}: it must be from 0 to {end - 1}")
        return _by_habits(cells, gravity(cells, pickup_node, hour_of_pickup, habits.decay_m), habits)

    @classmethod
    def learnt(
        cls, city: City, pings: RecordedPings, timezone: str, before_ms: int | None = None
    ) -> CruiseModel:
        """Learn from pings what empty taxis did: see :func:`dispatch.sim.cruising_fit.learn`.

        Parameters
        ----------
        city : City
        pings : RecordedPings
        timezone : str
            IANA name, for the hours.
        before_ms : int, optional
            Pings from this instant on are not looked at; milliseconds since the epoch.

        Raises
        ------
        InputError
            No taxi drove empty inside the city, or the time zone is unknown.
        """
        from dispatch.sim.cruising_fit import learn

        return learn(city, pings, timezone, before_ms)


def _by_habits(cells: Cells, targets: NDArray[np.float64], habits: CruiseHabits) -> CruiseModel:
    stay_ms = np.full(HOURS, round(habits.stay_s * MS_PER_S))
    stays = np.full(HOURS, float(habits.stay_share)), stay_ms
    return assemble(cells.of_node, np.ones(len(cells.of_node)), targets, stays, habits.slowness)


def gravity(
    cells: Cells, pickup_node: NDArray[np.int32], hour_of_pickup: NDArray[np.integer], decay_m: float
) -> NDArray[np.float64]:
    """Weigh cells by the pickups of the hour and by distance.

    Pickups of all hours count as one more average hour, and each cell has one pickup a day more than there
    are: that fills hours and cells with few.

    Returns
    -------
    (24, cells, cells) float64
        Probabilities of the target given hour and cell.
    """
    of_hour = np.bincount(
        np.asarray(hour_of_pickup, np.int64) * len(cells) + cells.of_node[pickup_node],
        minlength=HOURS * len(cells),
    ).reshape(HOURS, len(cells))
    weight = of_hour + of_hour.mean(axis=0) + 1 / HOURS
    attracted = weight[:, None, :] * np.exp(-cells.distance_m() / decay_m)
    probability: NDArray[np.float64] = attracted / attracted.sum(axis=2, keepdims=True)
    return probability


def assemble(
    cell_of_node: NDArray[np.int32],
    node_weight: NDArray[np.float64],
    target_weight: NDArray[np.float64],
    stays: tuple[NDArray[np.float64], NDArray[np.int64]],
    slowness: float,
) -> CruiseModel:
    """Make a model of weights, which become running sums.

    Parameters
    ----------
    cell_of_node : (nodes,) int32
    node_weight : (nodes,) float64
        How likely a node is the target among those of its cell; a positive sum in each cell.
    target_weight : (24, cells, cells) float64
        Likewise of the next cell; a positive sum in each row.
    stays : ((24,) float64, (24,) int64)
        Share of stays among decisions, and their mean length in milliseconds.
    slowness : float
    """
    node_of_cell = np.argsort(cell_of_node, kind="stable").astype(np.int32)
    first = np.append(0, np.cumsum(np.bincount(cell_of_node))).astype(np.int32)
    node_cum = np.concatenate(
        [_running_share(node_weight[node_of_cell[begin:end]]) for begin, end in pairwise(first)]
    )
    return CruiseModel(
        np.ascontiguousarray(cell_of_node, np.int32),
        first,
        node_of_cell,
        node_cum,
        np.ascontiguousarray(stays[0], np.float64),
        np.ascontiguousarray(stays[1], np.int64),
        _running_share(target_weight),
        float(slowness),
    )


def _running_share(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cumulate along the last axis to exactly 1 from the last weight above 0 on."""
    cumulated: NDArray[np.float64] = np.cumsum(weight, axis=-1)
    return np.ascontiguousarray(cumulated / cumulated[..., -1:])
