"""How much slower than usual streets are right now, learnt from live pings, and travel times made of it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.errors import InputError
from dispatch.eta.driven_ways import DrivenWays
from dispatch.kernels import live_traffic as kernels
from dispatch.limits import check_range
from dispatch.roads.city import City
from dispatch.roads.metric import Metric
from dispatch.roads.time_of_day import TimeOfDay
from dispatch.roads.turns import members
from dispatch.units import DURATION_DTYPE, INDEX_DTYPE, MAX_TRAVEL_MS, MS_PER_S, NO_INDEX, UNREACHABLE_MS

LIVE_COLUMNS: Final = (
    "live_city",
    "live_route",
    "live_cells",
    "live_cells_slow",
    "live_route_weight",
    "live_cells_weight",
    "live_driver",
    "live_driver_weight",
)
"""What :meth:`LiveTraffic.replay` tells of a query. Logarithms of true over usual time: of the city; of the
route, edge by edge; of the squares that it leads through, quickly and slowly forgotten. Evidence on the edges
of the route, and in its squares, in ways. The driver's own time over what is believed of the streets, and the
evidence of that."""

_STRAIGHT: Final = 0.6
"""Radians by which a street may bend at a crossing"""
_RANGES: Final = {
    "edge_half_life_s": (1.0, 86_400.0),
    "stretch_half_life_s": (1.0, 86_400.0),
    "cell_half_life_s": (1.0, 86_400.0),
    "slow_half_life_s": (1.0, 86_400.0),
    "city_half_life_s": (1.0, 86_400.0),
    "driver_half_life_s": (1.0, 86_400.0),
    "cell_m": (50.0, 100_000.0),
    "stretch_m": (0.0, 100_000.0),
    "edge_prior": (1e-3, 1e6),
    "stretch_prior": (1e-3, 1e6),
    "cell_prior": (1e-3, 1e6),
    "slow_prior": (1e-3, 1e6),
    "city_prior": (1e-3, 1e6),
    "driver_prior": (1e-3, 1e6),
    "clip": (0.1, 10.0),
    "margin": (0.01, 10.0),
    "doubt": (0.01, 10.0),
    "confirm": (0.0, 100.0),
    "repeat": (0.0, 1.0),
    "most": (0.1, 1e6),
}


@dataclass(frozen=True)
class LiveParams:
    """How fast live traffic is forgotten, and how much of it is believed.

    Weights are counted in ways: all edges of one together weigh 1.

    Raises
    ------
    InputError
        A value is out of its range.
    """

    edge_half_life_s: float = 420.0
    stretch_half_life_s: float = 420.0
    cell_half_life_s: float = 600.0
    slow_half_life_s: float = 3_600.0
    """Of squares once more, which tells slow changes with less noise"""
    city_half_life_s: float = 600.0
    driver_half_life_s: float = 3_600.0
    cell_m: float = 500.0
    """Side of the squares"""
    stretch_m: float = 600.0
    """Longest stretch of a street, unless nobody can turn off"""
    edge_prior: float = 2.0
    """Weight with which an edge is drawn to its stretch"""
    stretch_prior: float = 1.5
    """A stretch to its square, quickly forgotten"""
    cell_prior: float = 15.0
    """That one to the square slowly forgotten"""
    slow_prior: float = 30.0
    """That one to the city"""
    city_prior: float = 20.0
    """The city to 0"""
    driver_prior: float = 5.0
    """A driver to 0"""
    clip: float = 2.0
    """Largest logarithm of a factor that one observation may tell"""
    margin: float = 0.5
    """An observation counts as if it differed from what is believed by no more, in logarithms"""
    doubt: float = 1.0
    """One that differs by more is doubted, and kept for others to confirm it"""
    confirm: float = 1.5
    """Weight of doubted observations that replace all older ones of the edge"""
    repeat: float = 0.2
    """Weight of an observation of an edge by the driver who told the last one"""
    most: float = 4.0
    """Largest weight of an edge"""

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            check_range(name, getattr(self, name), low, high)


@dataclass(frozen=True)
class LiveQueries:
    """Instants and routes for which live traffic is asked."""

    at_ms: NDArray[np.int64]
    """(queries,)"""
    first: NDArray[np.int64]
    """(queries + 1,) the route of query ``i`` has entries ``first[i] … first[i + 1] - 1``, perhaps none"""
    edge: NDArray[np.int32]
    """(entries,) row of the graph's arc"""
    usual_s: NDArray[np.float64]
    """(entries,) usual travel time of the driven part"""
    driver_id: NDArray[np.int64]
    """(queries,) any number that no driver has where the driver is not known"""


class LiveTraffic:
    """How much slower than usual the streets of a city are, and its drivers.

    How it is learnt: :mod:`dispatch.kernels.live_traffic`. Any number of threads may ask while one tells.

    Parameters
    ----------
    city : City
    params : LiveParams, optional
    """

    def __init__(self, city: City, params: LiveParams | None = None) -> None:
        self.params = params or LiveParams()
        self._rates, self._lock = _rates(self.params), threading.Lock()
        cell_of_edge, num_cells = _cells(city, self.params.cell_m)
        stretch_of_edge, num_stretches = _stretches(city, self.params.stretch_m)
        num = city.graph.num_arcs
        self._driver_id = np.empty(0, np.int64)
        """(drivers,) ascending"""
        self._row_of_driver = np.empty(0, INDEX_DTYPE)
        """(drivers,) row in the state of each of them"""
        self._state = kernels.State(
            np.zeros(kernels.NUM_LEVELS, np.int64),
            np.full(1, kernels.NEVER_MS, np.int64),
            *_nothing_seen(num),
            *_nothing_seen(num_stretches),
            np.zeros((num_cells, 4)),
            np.zeros((1, 2)),
            np.zeros((0, 2)),
            stretch_of_edge,
            cell_of_edge,
        )
        self.num_late = 0
        """Ways that were left out because later ones had been told before"""

    @property
    def num_arcs(self) -> int:
        """Number of arcs of the city's graph."""
        return len(self._state.cell_of_edge)

    @property
    def clock_ms(self) -> int | None:
        """When the last way ended, None before the first."""
        clock_ms = int(self._state.clock_ms[0])
        return None if clock_ms == kernels.NEVER_MS else clock_ms

    # --- telling ---------------------------------------------------------------------------------

    def observe(self, ways: DrivenWays, usual_s: NDArray[np.float64]) -> None:
        """Learn from ways that were driven.

        Ways that ended before the last one that was told are left out, and counted in :attr:`num_late`.

        Parameters
        ----------
        ways : DrivenWays
        usual_s : (entries,) float64
            Usual travel time of each driven part at that time of day: ``ways.usual_s(edge_s)`` where it is
            known of whole edges. 0 where a part tells nothing.

        Raises
        ------
        InputError
            Ways are not sorted by their ends, or a row, a time or a length is wrong.
        """
        self.replay(ways, usual_s, _NO_QUERIES)

    def replay(
        self, ways: DrivenWays, usual_s: NDArray[np.float64], queries: LiveQueries
    ) -> NDArray[np.float32]:
        """Learn from ways, and tell each query what was known just before its instant.

        A way counts for a query if it ended strictly before the query's instant.

        Parameters
        ----------
        ways : DrivenWays
        usual_s : (entries,) float64
            See :meth:`observe`.
        queries : LiveQueries
            In any order. An instant before that of the last way told earlier counts as that one.

        Returns
        -------
        (queries, columns) float32
            Columns are :data:`LIVE_COLUMNS`; 0 where nothing is known.

        Raises
        ------
        InputError
            As :meth:`observe`, or the queries have a row, a time or a length that is wrong.
        """
        _check_rows("ways", ways.first, len(ways.duration_s), ways.edge, self.num_arcs)
        usual_s = _usual("ways", usual_s, len(ways.edge))
        _check_ways(ways)
        _check_rows("queries", queries.first, len(queries.at_ms), queries.edge, self.num_arcs)
        asked_s = _usual("queries", queries.usual_s, len(queries.edge))
        if len(queries.driver_id) != len(queries.at_ms):
            raise InputError("at_ms and driver_id of queries differ in length")
        known = np.zeros((len(queries.at_ms), kernels.NUM_COLUMNS))
        with self._lock:
            late = int(np.searchsorted(ways.ended_at_ms, self._state.clock_ms[0]))
            self.num_late += late
            told = self._ways(ways, usual_s, late)
            scratch = np.empty(int(np.diff(told.first).max(initial=0)))
            kernels.replay(self._state, self._rates, told, self._queries(queries, asked_s), scratch, known)
        return known.astype(np.float32)

    def _ways(self, ways: DrivenWays, usual_s: NDArray[np.float64], late: int) -> kernels.Ways:
        if late:
            usual_s = usual_s[ways.first[late] :]
            ways = ways.take(late, ways.num_ways)
        return kernels.Ways(
            np.require(ways.first, np.int64, ["C", "W"]),
            np.require(ways.edge, INDEX_DTYPE, ["C", "W"]),
            np.require(usual_s, np.float64, ["C", "W"]),
            np.require(ways.duration_s, np.float64, ["C", "W"]),
            np.require(ways.ended_at_ms, np.int64, ["C", "W"]),
            self._rows_of(np.asarray(ways.driver_id, np.int64), add=True),
        )

    def _queries(self, queries: LiveQueries, usual_s: NDArray[np.float64]) -> kernels.Queries:
        at_ms = np.require(queries.at_ms, np.int64, ["C", "W"])
        return kernels.Queries(
            np.argsort(at_ms, kind="stable").astype(INDEX_DTYPE),
            at_ms,
            np.require(queries.first, np.int64, ["C", "W"]),
            np.require(queries.edge, INDEX_DTYPE, ["C", "W"]),
            usual_s,
            self._rows_of(np.asarray(queries.driver_id, np.int64), add=False),
        )

    def _rows_of(self, driver_id: NDArray[np.int64], add: bool) -> NDArray[np.int32]:
        """Give the rows (n,) of drivers, NO_INDEX of those that nobody told of; perhaps new ones."""
        if add:
            new = np.setdiff1d(driver_id, self._driver_id)
            if len(new):
                num = len(self._driver_id)
                ids = np.concatenate([self._driver_id, new])
                order = np.argsort(ids)
                added = np.arange(num, num + len(new), dtype=INDEX_DTYPE)
                rows = np.concatenate([self._row_of_driver, added])
                self._driver_id, self._row_of_driver = ids[order], rows[order]
                state = self._state
                grown = np.concatenate([state.driver, np.zeros((len(new), 2))])
                self._state = state._replace(driver=grown)
        if not len(self._driver_id):
            return np.full(len(driver_id), NO_INDEX, INDEX_DTYPE)
        at = np.minimum(np.searchsorted(self._driver_id, driver_id), len(self._driver_id) - 1)
        is_known = self._driver_id[at] == driver_id
        return np.where(is_known, self._row_of_driver[at], NO_INDEX).astype(INDEX_DTYPE)

    # --- asking ----------------------------------------------------------------------------------

    def log_factor(self, at_ms: int) -> NDArray[np.float32]:
        """Give the logarithm of true over usual travel time of each arc, as believed at an instant.

        Parameters
        ----------
        at_ms : int
            Milliseconds since the epoch; before the last way told it counts as that one's end.

        Returns
        -------
        (arcs,) float32
        """
        found = np.empty(self.num_arcs)
        with self._lock:
            kernels.log_factors(self._state, self._rates, int(at_ms), found)
        return found.astype(np.float32)

    def travel_ms(self, usual_ms: ArrayLike, at_ms: int) -> NDArray[np.int32]:
        """Give the travel time of each arc as believed at an instant.

        Parameters
        ----------
        usual_ms : (arcs,) int32
            ``UNREACHABLE_MS`` where the arc is closed: it stays closed, and no other becomes so.
        at_ms : int
            See :meth:`log_factor`.

        Returns
        -------
        (arcs,) int32
            0 … ``MAX_TRAVEL_MS``, or ``UNREACHABLE_MS``.

        Raises
        ------
        InputError
            `usual_ms` has another shape.
        """
        usual = np.asarray(usual_ms)
        if usual.shape != (self.num_arcs,):
            raise InputError(f"usual_ms has the shape {usual.shape}: the graph has {self.num_arcs} arcs")
        found = np.rint(usual * np.exp(self.log_factor(at_ms).astype(np.float64)))
        found = np.clip(found, np.minimum(usual, 1), MAX_TRAVEL_MS)
        return np.where(usual >= UNREACHABLE_MS, UNREACHABLE_MS, found).astype(DURATION_DTYPE)

    def driver_log_factor(
        self, driver_id: ArrayLike, at_ms: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Give how much longer drivers take than is believed of the streets that they drive.

        Parameters
        ----------
        driver_id : (drivers,) int64
        at_ms : int
            See :meth:`log_factor`.

        Returns
        -------
        value : (drivers,) float32
            Logarithm of a factor, drawn to 0; 0 where nothing is known.
        weight : (drivers,) float32
            Evidence, in ways.
        """
        ids = np.asarray(driver_id, np.int64)
        asked = LiveQueries(
            np.full(len(ids), int(at_ms), np.int64),
            np.zeros(len(ids) + 1, np.int64),
            np.empty(0, INDEX_DTYPE),
            np.empty(0),
            ids,
        )
        known = self.known(asked)
        return known[:, -2], known[:, -1]

    def known(self, queries: LiveQueries) -> NDArray[np.float32]:
        """Tell queries what is known now; see :meth:`replay`."""
        return self.replay(_NO_WAYS, np.empty(0), queries)

    # --- keeping ---------------------------------------------------------------------------------

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Give copies of all that it knows, by name, to be saved; see :meth:`restore`."""
        with self._lock:
            kept = {name: values.copy() for name, values in self._state._asdict().items()}
            kept["driver_id"], kept["row_of_driver"] = self._driver_id.copy(), self._row_of_driver.copy()
            kept["num_late"] = np.array([self.num_late])
        return kept

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Know what another one of the same city and parameters knew, and nothing else.

        Parameters
        ----------
        arrays : mapping of str to array
            As given by :meth:`arrays`.

        Raises
        ------
        InputError
            An array is missing, or of another city.
        """
        held = self.arrays()
        for name, values in held.items():
            given = arrays.get(name)
            by_driver = name in ("driver", "driver_id", "row_of_driver")
            if given is None or given.dtype != values.dtype or given.ndim != values.ndim:
                raise InputError(f"{name} is missing or of a wrong type: give what arrays() gave")
            if given.shape[1:] != values.shape[1:] or (len(given) != len(values) and not by_driver):
                raise InputError(f"{name} has the shape {given.shape}, not {values.shape}: of another city?")
            if name.endswith("_of_edge") and not np.array_equal(given, values):
                raise InputError(f"{name} differs: the arrays are of another city or of other parameters")
        if not len(arrays["driver"]) == len(arrays["driver_id"]) == len(arrays["row_of_driver"]):
            raise InputError("driver, driver_id and row_of_driver differ in length: give what arrays() gave")
        row = arrays["row_of_driver"]
        if (np.diff(arrays["driver_id"]) <= 0).any() or (np.sort(row) != np.arange(len(row))).any():
            raise InputError("driver_id must ascend, row_of_driver name each row: give what arrays() gave")
        with self._lock:
            state = {name: np.array(arrays[name], order="C") for name in kernels.State._fields}
            self._state = kernels.State(**state)
            self._driver_id, self._row_of_driver = arrays["driver_id"].copy(), arrays["row_of_driver"].copy()
            self.num_late = int(arrays["num_late"][0])

    def copy(self) -> LiveTraffic:
        """Give another one that knows the same and learns on its own."""
        other = object.__new__(LiveTraffic)
        other.params, other._rates, other._lock = self.params, self._rates, threading.Lock()
        other._state, other.num_late = self._state, self.num_late
        other._driver_id, other._row_of_driver = self._driver_id, self._row_of_driver
        other.restore(self.arrays())
        return other


class LiveTimes:
    """Travel times as usual at a time of day times live traffic; remade every so often.

    Any number of threads may ask: a metric is swapped in whole, those who use an earlier one keep it, and
    those who ask while the next one is made get the earlier one.

    Parameters
    ----------
    city : City
    usual : TimeOfDay or (arcs,) int32
        Usual travel times, ``UNREACHABLE_MS`` where an arc is closed.
    live : LiveTraffic
        Of this city; others go on telling it.
    remake_every_s : float
        Age at which a metric is replaced, 0 … 86400.

    Raises
    ------
    InputError
        `usual` has another number of arcs, or `remake_every_s` is out of range.
    """

    def __init__(
        self, city: City, usual: TimeOfDay | ArrayLike, live: LiveTraffic, *, remake_every_s: float = 30.0
    ) -> None:
        check_range("remake_every_s", remake_every_s, 0.0, 86_400.0)
        self._usual = usual if isinstance(usual, TimeOfDay) else np.array(usual, DURATION_DTYPE)
        num_arcs = self._usual.num_arcs if isinstance(self._usual, TimeOfDay) else self._usual.size
        if num_arcs != city.graph.num_arcs:
            raise InputError(f"usual has {num_arcs} arcs: {city.name} has {city.graph.num_arcs}")
        self._city, self._live, self._every_ms = city, live, remake_every_s * MS_PER_S
        self._made: tuple[int, Metric] | None = None
        self._making = threading.Lock()

    def usual_ms(self, at_ms: int) -> NDArray[np.int32]:
        """Give the usual travel times (arcs,) of an instant."""
        if isinstance(self._usual, TimeOfDay):
            return self._usual.travel_ms_at(at_ms, self._city.timezone)
        return self._usual

    def at(self, at_ms: int) -> Metric:
        """Give the metric of an instant, milliseconds since the epoch."""
        made = self._made
        if made is not None and self._is_fresh(made, at_ms):
            return made[1]
        if not self._making.acquire(blocking=made is None):
            return made[1]  # type: ignore[index]  # there is one, or it would have waited
        try:
            made = self._made  # another thread may have made it meanwhile
            if made is None or not self._is_fresh(made, at_ms):
                travel_ms = self._live.travel_ms(self.usual_ms(at_ms), at_ms)
                made = (int(at_ms), self._city.network.customize(travel_ms))
                self._made = made
            return made[1]
        finally:
            self._making.release()

    def _is_fresh(self, made: tuple[int, Metric], at_ms: int) -> bool:
        return abs(at_ms - made[0]) < self._every_ms or at_ms == made[0]


def _rates(params: LiveParams) -> kernels.Rates:
    names = ("edge", "stretch", "cell", "slow", "city", "driver")
    half_s = np.array([getattr(params, f"{name}_half_life_s") for name in names])
    prior = np.array([getattr(params, f"{name}_prior") for name in names], np.float64)
    rest = (params.clip, params.margin, params.doubt, params.confirm, params.repeat, params.most)
    half_ms = np.rint(half_s * MS_PER_S).astype(np.int64)
    return kernels.Rates(half_ms, prior, *(float(value) for value in rest))


def _cells(city: City, cell_m: float) -> tuple[NDArray[np.int32], int]:
    """Give the square in which the middle of each arc (arcs,) lies, and how many there are."""
    graph = city.graph
    x, y = city.projection.to_plane(graph.node_lon, graph.node_lat)
    middles = [np.floor((at[graph.tail] + at[graph.head]) / (2.0 * cell_m)).astype(np.int64) for at in (x, y)]
    found, row = np.unique(np.stack(middles), axis=1, return_inverse=True)
    return row.reshape(-1).astype(INDEX_DTYPE), found.shape[1]


def _stretches(city: City, stretch_m: float) -> tuple[NDArray[np.int32], int]:
    """Give the stretch of each arc (arcs,), and how many there are.

    A street goes on as the arc of its own class that leads on straightest, for either the straightest.
    """
    graph = city.graph
    x, y = city.projection.to_plane(graph.node_lon, graph.node_lat)
    angle = np.arctan2(y[graph.head] - y[graph.tail], x[graph.head] - x[graph.tail])
    entering, nth = members(np.diff(graph.first_arc)[graph.head])
    leaving = graph.first_arc[graph.head[entering]] + nth
    goes_on = graph.head[leaving] != graph.tail[entering]
    entering, leaving = entering[goes_on], leaving[goes_on]
    has_choice = np.bincount(entering, minlength=graph.num_arcs) > 1
    others = np.bincount(leaving, minlength=graph.num_arcs) > 1
    bend = np.abs((angle[leaving] - angle[entering] + np.pi) % (2.0 * np.pi) - np.pi)
    is_forced = ~has_choice[entering] & ~others[leaving]
    is_street = is_forced | ((bend < _STRAIGHT) & (graph.road_class[leaving] == graph.road_class[entering]))
    entering, leaving, bend = entering[is_street], leaving[is_street], bend[is_street]
    best_in, best_out = (_least(of, bend, graph.num_arcs) for of in (entering, leaving))
    mutual = np.flatnonzero(best_in[entering] == best_out[leaving])
    mutual = mutual[best_in[entering[mutual]] == mutual]
    next_arc = np.full(graph.num_arcs, NO_INDEX, INDEX_DTYPE)
    next_arc[entering[mutual]] = leaving[mutual]
    choice = has_choice.copy()
    choice[entering[mutual]] |= others[leaving[mutual]]
    stretch = np.empty(graph.num_arcs, INDEX_DTYPE)
    length_m = np.require(graph.length_m, np.float64, ["C", "W"])
    num = kernels.cut_stretches(next_arc, choice, length_m, float(stretch_m), stretch)
    return stretch, int(num)


def _least(row: NDArray[np.int64], value: NDArray[np.float64], num: int) -> NDArray[np.int64]:
    """Give the entry of the least value of each row (num,), NO_INDEX where it has none."""
    order = np.lexsort((value, row))
    is_first = np.ones(len(order), np.bool_)
    is_first[1:] = row[order[1:]] != row[order[:-1]]
    least = np.full(num, NO_INDEX, np.int64)
    least[row[order[is_first]]] = order[is_first]
    return least


def _nothing_seen(num: int) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Give means and who saw what, of so many edges or stretches."""
    seen = np.full((num, 3), NO_INDEX, INDEX_DTYPE)
    seen[:, kernels.EPOCH] = 0
    return np.zeros((num, 4)), seen


def _check_rows(
    what: str, first: NDArray[np.int64], num: int, edge: NDArray[np.int32], num_arcs: int
) -> None:
    """Refuse row starts that do not fit, and edges that are none."""
    first = np.asarray(first)
    if first.shape != (num + 1,):
        raise InputError(f"first of {what} has the shape {first.shape}: it must be ({num + 1},)")
    if first[0] != 0 or first[-1] != len(edge) or (np.diff(first) < 0).any():
        raise InputError(f"first of {what} must ascend from 0 to the number of entries, {len(edge)}")
    if len(edge) and (edge.min() < 0 or edge.max() >= num_arcs):
        raise InputError(f"edge of {what} holds {edge.min()} … {edge.max()}: the graph has {num_arcs} arcs")


def _usual(what: str, usual_s: NDArray[np.float64], num: int) -> NDArray[np.float64]:
    usual_s = np.require(usual_s, np.float64, ["C", "W"])
    if usual_s.shape != (num,):
        raise InputError(f"usual_s of {what} has the shape {usual_s.shape}: it must be ({num},)")
    if num and not (usual_s.min() >= 0.0 and usual_s.max() < np.inf):  # a NaN fails both
        raise InputError(f"usual_s of {what} holds a number that is negative or not finite")
    return usual_s


def _check_ways(ways: DrivenWays) -> None:
    num = len(ways.duration_s)
    if not len(ways.ended_at_ms) == len(ways.driver_id) == num:
        raise InputError("duration_s, ended_at_ms and driver_id of ways differ in length")
    if num and not (ways.duration_s.min() > 0.0 and ways.duration_s.max() < np.inf):
        raise InputError("duration_s of ways holds a number that is not positive or not finite")
    if (np.diff(ways.ended_at_ms) < 0).any():
        raise InputError("ended_at_ms of ways must ascend: sort them by their ends")


_NO_WAYS: Final = DrivenWays(
    np.zeros(1, np.int64),
    np.empty(0, INDEX_DTYPE),
    np.empty(0),
    np.empty(0),
    np.empty(0, np.int64),
    np.empty(0, np.int64),
)
_NO_QUERIES: Final = LiveQueries(
    np.empty(0, np.int64),
    np.zeros(1, np.int64),
    np.empty(0, INDEX_DTYPE),
    np.empty(0),
    np.empty(0, np.int64),
)
