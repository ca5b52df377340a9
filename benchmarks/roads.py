"""Roads: travel times and ways on New York, Rhine-Neckar and San Francisco; against four peers.

scipy judges the first questions of every case, and we then judge the peers on the others. A time is of one
pair, of one way, or of a whole table; a peer that answers only some of a table's rows is counted as if it
had answered all at the same pace. D, one Dijkstra of scipy's from a node to all, is timed in the same rounds
as each case: limits are multiples of it, so that they mean the same on any machine.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from benchmarks import road_builds
from benchmarks.harness import OURS, Call, Case, Report, Table, Work, WrongAnswerError, number
from benchmarks.road_builds import D, Ready
from benchmarks.road_cities import SIZES, TINY, YARDSTICK, Candidates, Questions, cities
from benchmarks.road_compile import compile_table
from benchmarks.road_peers import FEW, FEW_ORDERS, Pandana, Peer, Scipy, ask, peers_of

SUMMARY = "travel times and ways on road networks against scipy, igraph, networkit and pandana"
PACKAGES = ("scipy", "igraph", "networkit", "pandana")

JUDGED = 20
"""Searches by which scipy judges a case."""
FLOORS = {"pairs": 3.0, "candidates": 80.0}
"""Against peers, on New York."""
LIMITS_IN_D = {
    "pairs": 1 / 5_000,
    "pair from Python": 1 / 3_300,
    "paths": 1 / 550,
    "table": 1 / 1.9,
    "wide table": 1.1,
    "candidates": 3.0,
    "one to all": 1 / 6,
}
BATCH_ORDERS, BATCH_K = 100, 24
"""What an engine asks in a window."""
AIM = 0.5
"""Of a limit: what we are after."""
LEAST_MULTIPLE = 0.2
"""Below, a time is told as a fraction of D."""
SIZE_FACTS = ("million_arcs", "array_mb")


def measure(report: Report) -> None:
    """Run the suite."""
    for streets in cities(report.quick, report.tiny):
        questions = Questions(streets, TINY if report.tiny else SIZES)
        peers = peers_of(streets, report.tell)
        with road_builds.ready(report, streets) as ready:
            road_builds.measure(report, ready, questions, peers["pandana"])
            measure_queries(report, ready, questions, peers)
    if not report.tiny:
        report.note(
            f"pairs, paths: ms for each of {SIZES.pairs:,} and {SIZES.paths:,} at once; from Python: a call "
            f"for each; candidates: {SIZES.orders:,} orders and the {SIZES.near} of {SIZES.orders:,} drivers "
            "who are nearest to each by air"
        )
        report.note(
            f"Of tables and candidates, searching peers answer {FEW} rows or up to {FEW_ORDERS} orders, "
            f"pandana {Pandana.TABLE_PAIRS:,} pairs or {Pandana.NEAR_ORDERS:,} orders; their times are those "
            "of all at the same pace"
        )
        report.note("pyvalhalla is left out: it routes on tiles and travel times of its own making")
    report.table(yardstick_table(report))
    report.table(shares_table(report))
    if not report.quick:
        report.table(compile_table(report.tell))


def yardstick_table(report: Report) -> Table:
    """Every case in multiples of D."""
    lines = []
    for row in report.rows:
        d_ms = row.get("beside_ms", {}).get(D)
        if d_ms is None:
            continue
        ours_in_d = row["ours_ms"] / d_ms
        limit = row["limits"].get(D, {}).get("at_most")
        asked = ("", "", "")
        if limit is not None:
            asked = (in_d(limit), in_d(AIM * limit), "miss" if ours_in_d > limit else "")
        lines.append((row["case"], number(row["ours_ms"]), number(d_ms), in_d(ours_in_d), *asked))
    note = "D: one Dijkstra of scipy's from a node to all others, in the same rounds."
    return Table("In multiples of D", ("case", "ours, ms", "D, ms", "in D", "limit", "aim", ""), lines, note)


def in_d(multiple: float) -> str:
    """Tell a multiple of D, or a fraction."""
    return f"{number(multiple)} D" if multiple >= LEAST_MULTIPLE else f"D/{number(1 / multiple)}"


def shares_table(report: Report) -> Table:
    """Sizes, and times as shares of others of ours."""
    lines = []
    for row in report.rows:
        shares = {
            f"of {name}": row["ours_ms"] / ms for name, ms in row.get("beside_ms", {}).items() if name != D
        }
        sizes = {name: row[name] for name in SIZE_FACTS if name in row}
        for name, value in (shares | sizes).items():
            limit = row["limits"].get(name.removeprefix("of "), {}).get("at_most")
            miss = "miss" if limit is not None and value > limit else ""
            lines.append((row["case"], name.replace("_", " "), number(value), number(limit), miss))
    note = "Bytes of all arrays of the hierarchy and of one metric."
    return Table("Sizes and shares", ("case", "", "value", "limit", ""), lines, note)


# --- queries --------------------------------------------------------------------------------------


class Query(NamedTuple):
    """A kind of question, and how we answer it."""

    name: str
    """of the case, without the city's"""
    kind: str
    """of the limits and floors"""
    method: str
    """of the peers"""
    question: tuple[Any, ...]
    call: Call
    read: Callable[[Any], np.ndarray] = np.asarray
    """from our answer to milliseconds; not timed"""
    whole: int = 1
    """a row tells the time of so many pairs, rows of a table, orders or nodes"""
    left_out: tuple[str, ...] = ()
    """peers who are not asked"""


def measure_queries(
    report: Report, ready: Ready, questions: Questions, peers: Mapping[str, Peer | None]
) -> None:
    """A row for each kind of question."""
    judge = Scipy(ready.streets, JUDGED)
    is_yardstick = ready.streets.name == YARDSTICK
    for query in queries(ready, questions):
        limit = LIMITS_IN_D.get(query.kind) if is_yardstick else None
        able = {name: peer for name, peer in peers.items() if name not in query.left_out}
        case = Case(
            f"{ready.streets.name} {query.name}",
            [partial(query_work, ready, query, judge, able)],
            FLOORS.get(query.kind) if is_yardstick else None,
            {} if limit is None else {D: limit},
        )
        report.compare(case)


def queries(ready: Ready, questions: Questions) -> list[Query]:
    """What is asked of a city; calls of ours do nothing but what is timed."""
    metric, sizes = ready.metric, questions.sizes
    pairs, single, ends = (questions.pairs(num) for num in (sizes.pairs, sizes.single, sizes.paths))
    nodes = list(zip(*(side.tolist() for side in single), strict=True))
    found = [
        Query("pairs", "pairs", "pairs", pairs, lambda: metric.pairs_ms(*pairs)),
        Query(
            *("pair from Python", "pair from Python", "single", single),
            lambda: [metric.time_ms(a, b) for a, b in nodes],
        ),
        Query(
            *("paths", "paths", "paths", ends, lambda: metric.paths(*ends)),
            lambda paths: ready.streets.times_of_ways(np.split(paths.node, paths.first[1:-1]), *ends),
        ),
    ]
    for kind, shape in (("table", sizes.table), ("wide table", sizes.wide)):
        sides = questions.sides(shape)
        name = f"{len(sides[0]):,} × {len(sides[1]):,}"
        found.append(Query(name, kind, "table", sides, partial(metric.table_ms, *sides), whole=len(sides[0])))
    found += candidate_queries(ready, questions)
    node = questions.node()
    call = partial(metric.from_ms, [node])
    return [
        *found,
        Query("one to all", "one to all", "one_to_all", (node,), call, whole=ready.streets.num_nodes),
    ]


def candidate_queries(ready: Ready, questions: Questions) -> list[Query]:
    """Drivers who are near by air, in a batch of the engine's and in a large one; and those near by road."""
    metric, candidates, k = ready.metric, questions.candidates(), questions.sizes.nearest
    num_orders, num_near = candidates.driver.shape
    drivers, orders = candidates.driver_node, candidates.order_node
    asked = (drivers, orders, candidates.first, candidates.driver.ravel())

    def nearest_ms(found: Any) -> np.ndarray:
        order = np.repeat(orders, np.diff(found.first))
        if not np.array_equal(metric.pairs_ms(drivers[found.item], order), found.ms):
            raise WrongAnswerError("a driver is told to be there at another time")
        return found.ms.reshape(num_orders, -1)

    batch = Candidates(drivers, orders[:BATCH_ORDERS], candidates.driver[:BATCH_ORDERS, :BATCH_K])
    pairs = batch.node.ravel(), np.repeat(batch.order_node, batch.driver.shape[1])
    num_batch, k_batch = batch.driver.shape

    def new_travel_times() -> np.ndarray:
        return ready.network.customize(ready.streets.travel_ms).pairs_ms(*pairs)

    return [
        Query(
            *(f"{num_batch} × {k_batch}, new travel times", "batch", "near", (batch,), new_travel_times),
            lambda ms: ms.reshape(num_batch, k_batch),
            num_batch,
            (Pandana.NAME,),  # it contracts anew: see the row from graph to metric
        ),
        Query(
            *(f"{num_orders:,} × {num_near} candidates", "candidates", "near", (candidates,)),
            partial(metric.candidates_ms, *asked),
            lambda ms: ms.reshape(num_orders, num_near),
            num_orders,
        ),
        Query(
            *(f"{num_orders:,} × {k} nearest by road", "nearest", "nearest", (drivers, orders, k)),
            partial(metric.nearest, drivers, orders, k),
            nearest_ms,
            num_orders,
        ),
    ]


def query_work(ready: Ready, query: Query, judge: Scipy, peers: Mapping[str, Peer | None]) -> Work:
    """Everybody who can answer it, D, and the answers: scipy's as far as it was asked, then ours."""
    asked = ask(peers, query.method, *query.question)
    # A way is judged by its time.
    truth = getattr(judge, "pairs" if query.method == "paths" else query.method)(*query.question)
    expected = query.read(query.call()).copy()
    expected[: truth.num] = truth.read(truth.call())

    def told_ms(name: str, answer: Any) -> np.ndarray:
        if name == OURS:
            return query.read(answer)
        told = asked[name].read(answer)
        return ready.streets.times_of_ways(told, *query.question) if query.method == "paths" else told

    def check(name: str, answer: Any) -> None:
        told = told_ms(name, answer)
        wanted = expected if name == OURS else expected[: asked[name].num]
        if not np.array_equal(told, wanted):
            raise WrongAnswerError(f"{np.count_nonzero(told != wanted):,} of {wanted.size:,} times differ")

    units = {name: one.num / query.whole for name, one in asked.items() if one is not None}
    return Work(
        query.call,
        {name: None if one is None else one.call for name, one in asked.items()},
        check,
        units=units | {OURS: len(expected) / query.whole},
        beside=ready.yardstick,
    )
