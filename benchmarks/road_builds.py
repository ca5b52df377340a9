"""What stands before the first question: the hierarchy of a network, its metric, changes of it."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse.csgraph import dijkstra

from benchmarks.harness import OURS, Call, Case, Report, Timing, Work, WrongAnswerError, row_of
from benchmarks.road_cities import YARDSTICK, Questions, Streets
from benchmarks.road_peers import FEW, Pandana, Peer, Scipy
from dispatch.roads import hierarchy
from dispatch.roads.hierarchy import Hierarchy
from dispatch.roads.metric import Metric
from dispatch.roads.road_network import RoadNetwork
from dispatch.roads.turns import expand_turns

D = "D"
"""One Dijkstra of scipy's from a node to all."""
YARDSTICK_NODE = 0
SLOW_NODES = 50_000
"""From here on nodes are put in order once, for it takes seconds."""
LIMITS: dict[str, dict[str, float]] = {
    "node order": {D: 220.0},
    "topology": {D: 15.0, "million_arcs": 1.5},
    "load": {D: 7.0},
    "customize": {D: 1.3, "array_mb": 120.0},
    "customize, two threads": {"one thread": 0.8},
    "arcs, scattered": {"whole": 0.15},
    "arcs, clustered": {"whole": 0.15},
}
"""On New York."""
BYTES_PER_MB = 1e6
MS_PER_S = 1e3


class Ready(NamedTuple):
    """A city that can be asked."""

    streets: Streets
    network: RoadNetwork
    metric: Metric
    order: np.ndarray
    """(states,) of contraction"""
    order_timing: Timing
    folder: Path
    """with the saved hierarchy"""

    @property
    def yardstick(self) -> dict[str, Call]:
        return _yardstick(self.streets)


def _yardstick(streets: Streets) -> dict[str, Call]:
    return {D: partial(dijkstra, streets.matrix, indices=YARDSTICK_NODE)}


@contextmanager
def ready(report: Report, streets: Streets) -> Iterator[Ready]:
    """Put the nodes in order, which is timed, contract them, and keep the hierarchy in a folder meanwhile."""
    report.tell(f"{streets.name}, order of the nodes: made")
    turns = expand_turns(streets.graph)
    x, y = np.ascontiguousarray(streets.place[turns.node_of_state].T)
    links = hierarchy._links(turns)
    ours_ms, d_ms = [], []
    for _ in range(1 if turns.num_states > SLOW_NODES or report.tiny else 5):
        d_ms += [_time_ms(_yardstick(streets)[D]) for _ in range(5)]
        started = time.perf_counter()
        order = hierarchy._order(links, x, y)
        ours_ms.append((time.perf_counter() - started) * MS_PER_S)
        d_ms += [_time_ms(_yardstick(streets)[D]) for _ in range(5)]
    timing = Timing({OURS: median(ours_ms), D: median(d_ms)}, {}, beside=(D,))
    with tempfile.TemporaryDirectory() as name:
        Hierarchy._of_order(turns, order).save(Path(name))
        network = RoadNetwork(streets.graph, name)
        yield Ready(streets, network, network.customize(streets.travel_ms), order, timing, Path(name))


def _time_ms(call: Call) -> float:
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * MS_PER_S


# --- rows -----------------------------------------------------------------------------------------


def measure(report: Report, ready: Ready, questions: Questions, pandana: Peer | None) -> None:
    """Rows for everything before the first question."""

    def case(what: str, *instances: Callable[[], Work], title: str = "") -> Case:
        limits = LIMITS.get(what, {}) if ready.streets.name == YARDSTICK else {}
        return Case(f"{ready.streets.name} {title or what}", instances, None, limits)

    report.add(row_of(case("node order"), [ready.order_timing], ()))
    topology = report.compare(case("topology", partial(topology_work, ready)))
    report.compare(case("load", partial(load_work, ready)))
    metric = report.compare(case("customize", partial(customize_work, ready)))
    report.add(_from_graph_to_metric(ready, topology["ours_ms"] + metric["ours_ms"], pandana))
    report.compare(case("customize, two threads", partial(two_threads_work, ready)))
    for how, arcs in (("scattered", questions.scattered()), ("clustered", questions.clustered())):
        work = partial(update_work, ready, questions, arcs)
        report.compare(case(f"arcs, {how}", work, title=f"{len(arcs):,} arcs, {how}"))


def _from_graph_to_metric(
    ready: Ready, topology_and_metric_ms: float, pandana: Peer | None
) -> dict[str, Any]:
    """The hierarchy made anew for its first weights, against pandana, which was called once."""
    ms, absent = {OURS: ready.order_timing.ms[OURS] + topology_and_metric_ms}, [Pandana.NAME]
    if isinstance(pandana, Pandana):
        ms, absent = ms | {Pandana.NAME: pandana.built_ms}, []
    return row_of(Case(f"{ready.streets.name} from graph to metric", ()), [Timing(ms, {})], absent)


def topology_work(ready: Ready) -> Work:
    """The nodes' order is known."""
    turns, built = ready.network.turns, ready.network.hierarchy

    def check(_name: str, answer: Hierarchy) -> None:
        if not all(map(np.array_equal, answer.tree, built.tree)):
            raise WrongAnswerError("the same order gives another hierarchy")

    call = partial(Hierarchy._of_order, turns, ready.order)
    return Work(call, {}, check, facts={"million_arcs": built.num_arcs / 1e6}, beside=ready.yardstick)


def load_work(ready: Ready) -> Work:
    """From the saved hierarchy to a network that can be customized; turns and the graph's key count."""
    call, travel_ms = partial(RoadNetwork, ready.streets.graph, ready.folder), ready.streets.travel_ms
    check = right_metric(ready, travel_ms)
    return Work(
        call,
        {},
        lambda name, network: check(name, network.customize(travel_ms)),
        beside=ready.yardstick,
    )


def customize_work(ready: Ready) -> Work:
    """New travel times for every arc."""
    travel_ms = ready.streets.travel_ms
    num_bytes = ready.network.hierarchy.num_bytes + ready.metric.num_bytes
    return Work(
        partial(ready.network.customize, travel_ms),
        {},
        right_metric(ready, travel_ms),
        facts={"array_mb": num_bytes / BYTES_PER_MB},
        beside=ready.yardstick,
    )


def two_threads_work(ready: Ready) -> Work:
    """The same on two cores."""
    travel_ms = ready.streets.travel_ms
    one, two = (partial(ready.network.customize, travel_ms, num) for num in (1, 2))
    return Work(two, {}, right_metric(ready, travel_ms), beside={"one thread": one})


def update_work(ready: Ready, questions: Questions, arcs: np.ndarray) -> Work:
    """New travel times for some arcs: only what follows from them is made anew, or all."""
    changed_ms, travel_ms = questions.slowed(arcs), ready.streets.travel_ms.copy()
    travel_ms[arcs] = changed_ms
    call, whole = partial(ready.metric.update, arcs, changed_ms), partial(ready.network.customize, travel_ms)
    pairs = questions.pairs(questions.sizes.pairs)
    expected, right = whole().pairs_ms(*pairs), right_metric(ready, travel_ms)

    def check(name: str, answer: Metric) -> None:
        right(name, answer)
        if not np.array_equal(answer.pairs_ms(*pairs), expected):
            raise WrongAnswerError("a part made anew is not as all made anew")

    return Work(call, {}, check, beside={"whole": whole})


def right_metric(ready: Ready, travel_ms: np.ndarray) -> Callable[[str, Metric], None]:
    """Give a check whether a metric tells scipy's times from a few nodes to all."""
    streets = Streets(ready.streets.name, ready.streets.graph, travel_ms)
    source = np.linspace(0, streets.num_nodes - 1, FEW).astype(np.int32)
    expected = Scipy(streets).table(source, np.arange(streets.num_nodes)).call()

    def check(_name: str, metric: Metric) -> None:
        told = np.array([metric.from_ms([node]) for node in source])
        if not np.array_equal(told, expected):
            raise WrongAnswerError(f"{np.count_nonzero(told != expected):,} of {told.size:,} times differ")

    return check
