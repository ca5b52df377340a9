"""Assignment: the families of `instances.py`, full matrices, windows of real days; against six peers.

Every answer of ours is certified, every answer of a peer is read back and its objective compared.
"""

import copy
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import median
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.spatial import cKDTree

import dispatch.matching as matching
from benchmarks import peers
from benchmarks.batches import DAYS, batches, data_folder
from benchmarks.harness import OURS, Case, Report, Table, Work, WrongAnswerError, number
from benchmarks.instances import (
    FAMILIES,
    LEAST_DETOUR,
    MAX_PICKUP_S,
    SPEED_M_S,
    Family,
    city_points,
    dense_costs,
    shuffled,
    sparse_problem,
)
from benchmarks.memory import memory_table
from dispatch.matching import AssignmentProblem, certificate, solve
from dispatch.spatial.grid_index import GridIndex
from dispatch.units import NO_INDEX

SUMMARY = "sparse and dense assignment against scipy, lapx, lapjv and OR-tools"
PACKAGES = ("scipy", "lapx", "lapjv", "ortools")
FLOORS = {
    "a k20": 20.0,
    "b k20": 15.0,
    "b k50": 15.0,
    "c k20": 10.0,
    "c k50": 7.0,
    "d k20": 7.0,
    "d k50": 5.0,
    "e k20": 120.0,
    "c k20 incl. sort": 8.0,
    "e k20 incl. sort": 60.0,
    "dense 1000² city": 1.6,
    "dense 5000² city": 3.0,
}
NUM_SEEDS = {"a": 7, "b": 5, "c": 3, "d": 2, "e": 1}
SOFT_PENALTY = MAX_PICKUP_S
"""An order goes unserved rather than cost others more than the longest pickup."""
HIGHEST_UNIFORM = 10_000
MEMORY_CASES = ("d k50", "e k20", "dense 5000² city")
CHAIN, CHAIN_K = (5_000, 20_000), 20
TINY = Family(60, 400, 6)


def measure(report: Report) -> None:
    """Run the suite."""
    for name, family in FAMILIES.items():
        report.compare(Case(name, sparse_instances(report, name, family), FLOORS.get(name)))
    for name in ("c k20", "e k20"):
        case = f"{name} incl. sort"
        report.compare(Case(case, sparse_instances(report, name, FAMILIES[name], mixed=True), FLOORS[case]))
    for name in ("d k20", "d k50"):
        instances = sparse_instances(report, name, FAMILIES[name], penalty=SOFT_PENALTY)
        report.compare(Case(f"{name} penalty {SOFT_PENALTY} s", instances))
    measure_real_days(report)
    measure_dense(report)
    measure_chain(report)
    measure_threads(report)
    if any("edges_scanned" in row for row in report.rows):
        report.table(work_table(report))
    if not report.tiny:
        report.table(memory_table(MEMORY_CASES, report.tell))


def sparse_instances(
    report: Report, name: str, family: Family, mixed: bool = False, penalty: int | None = None
) -> list[Callable[[], Work]]:
    """One maker of work for each seed."""
    num_seeds = 1 if report.quick else NUM_SEEDS.get(name[0], 1)
    family = TINY if report.tiny else family
    return [partial(_family_work, family, seed, mixed, penalty) for seed in range(1, num_seeds + 1)]


def _family_work(family: Family, seed: int, mixed: bool, penalty: int | None) -> Work:
    problem = sparse_problem(family, seed)
    return sparse_work(problem, shuffled(problem, seed) if mixed else problem, penalty)


def work_table(report: Report) -> Table:
    """What our solver counted."""
    lines = [
        (
            row["case"],
            number(row["candidates"]),
            number(row["edges_scanned"] / row["candidates"]),
            number(row["augmentations"]),
        )
        for row in report.rows
        if "edges_scanned" in row
    ]
    return Table("Work of our solver", ("case", "edges", "scans per edge", "augmentations"), lines)


# --- sparse --------------------------------------------------------------------------------------


def sparse_work(for_peers: AssignmentProblem, for_us: AssignmentProblem, penalty: int | None = None) -> Work:
    """One instance: the same candidates for the peers, each row sorted, and for us, in any sequence."""
    options: dict[str, Any] = {} if penalty is None else {"penalty": penalty}
    ours = solve(for_us, **options)
    best = objective(for_peers, ours.driver_of_order, penalty)
    question = peers.Question(for_peers, penalty, ours.num_served == for_peers.num_orders)
    prepared, form_ms = {}, {}
    for name, prepare in peers.sparse_peers(question).items():
        prepared[name] = prepare(question)  # imports the peer, too
        if prepared[name] is not None:
            started = time.perf_counter()
            prepare(question)
            form_ms[name] = (time.perf_counter() - started) * 1e3

    def check(name: str, answer: Any) -> None:
        if name == OURS:
            proof = certificate(for_us, answer, **options)
            if not proof.optimal:
                raise WrongAnswerError(f"not proven: {proof}")
        else:
            answer = prepared[name].read(answer)
        driver_of_order = answer.driver_of_order if name == OURS else answer
        found = objective(for_peers, driver_of_order, penalty)
        if found != best:
            raise WrongAnswerError(f"(served, cost) is {found}, ours {best}")

    calls = {name: None if one is None else one.call for name, one in prepared.items()}
    return Work(lambda: solve(for_us, **options), calls, check, form_ms, work_done(ours, len(for_us.cost)))


def work_done(assignment: matching.Assignment, num_candidates: int) -> dict[str, float]:
    """How much of the problem our solver read, how often it augmented, where it counts that."""
    if not hasattr(assignment, "edges_scanned"):
        return {}
    counted = {"edges_scanned": assignment.edges_scanned, "augmentations": assignment.augmentations}
    return counted | {"candidates": num_candidates}


def objective(
    problem: AssignmentProblem, driver_of_order: np.ndarray, penalty: int | None
) -> tuple[int, int]:
    """Orders served and their cost; with a penalty 0 and the cost that includes it."""
    order = np.flatnonzero(driver_of_order != NO_INDEX)
    driver = driver_of_order[order].astype(np.int64)
    if len(np.unique(driver)) < len(driver):
        raise WrongAnswerError("a driver serves two orders")
    of_candidate = np.repeat(np.arange(problem.num_orders), np.diff(problem.first_candidate))
    pair = of_candidate * problem.num_drivers + problem.candidate_driver
    by_pair = np.lexsort((problem.cost, pair))
    wanted = order * problem.num_drivers + driver
    place = np.minimum(np.searchsorted(pair[by_pair], wanted), len(pair) - 1)
    if not np.array_equal(pair[by_pair][place], wanted):
        raise WrongAnswerError("an order has a driver that is no candidate of it")
    cost = int(problem.cost[by_pair][place].sum())
    if penalty is None:
        return len(order), cost
    return 0, cost + penalty * (problem.num_orders - len(order))


def measure_real_days(report: Report) -> None:
    """Windows of simulated days, where the data is."""
    folder = data_folder()
    if folder is None or report.tiny:
        report.note("Real windows are left out: DISPATCH_DATA names no folder of recorded cities.")
        return
    for day in DAYS:
        for which, problem in batches(day, folder).items():
            served = solve(problem).num_served
            size = f"{problem.num_orders} × {problem.num_drivers}, {len(problem.cost)} candidates"
            row = report.compare(Case(f"{day.name} {which}", [partial(sparse_work, problem, problem)]))
            row["size"] = f"{size}, {served} served"
            report.note(f"{row['case']}: {row['size']}")


# --- dense ---------------------------------------------------------------------------------------


def uniform_whole(size: int, seed: int) -> np.ndarray:
    """Random whole costs (size, size) float64."""
    return np.random.default_rng(seed).integers(0, HIGHEST_UNIFORM + 1, (size, size)).astype(np.float64)


def uniform(size: int, seed: int) -> np.ndarray:
    """Random costs (size, size) float64."""
    return np.random.default_rng(seed).uniform(0, HIGHEST_UNIFORM, (size, size))


DENSE = {"city": dense_costs, "uniform whole": uniform_whole, "uniform": uniform}


def measure_dense(report: Report) -> None:
    """Full square matrices, once we have a solver for them."""
    if not hasattr(matching, "linear_sum_assignment"):
        report.note("Dense cases are left out: dispatch.matching has no linear_sum_assignment.")
        return
    for size, num_seeds in ((1_000, 3), (5_000, 1)):
        for kind, make in DENSE.items():
            name = f"dense {size}² {kind}"
            if report.quick and size == 5_000 and kind == "uniform" and not report.tiny:
                continue
            actual = 20 if report.tiny else size
            seeds = range(1, 2 if report.quick else num_seeds + 1)
            instances = [partial(dense_work, make, actual, seed) for seed in seeds]
            report.compare(Case(name, instances, FLOORS.get(name)))


def dense_work(make: Callable[[int, int], np.ndarray], size: int, seed: int) -> Work:
    """One full matrix."""
    cost = make(size, seed)
    calls = peers.dense_peers(cost, whole=make is not uniform)
    best = cost[matching.linear_sum_assignment(cost)].sum()

    def check(_name: str, answer: Any) -> None:
        if not isinstance(answer[0], np.ndarray):  # OR-tools: its status and the solver
            solver = answer[1]
            answer = (np.arange(size), np.array([solver.right_mate(row) for row in range(size)]))
        row, column = answer
        if not np.array_equal(np.sort(column), np.arange(size)):
            raise WrongAnswerError("a column is taken twice")
        found = cost[row, column].sum()
        if not np.isclose(found, best, rtol=1e-12, atol=0):
            raise WrongAnswerError(f"cost is {found!r}, ours {best!r}")

    return Work(lambda: matching.linear_sum_assignment(cost), calls, check)


# --- the chain, two threads ----------------------------------------------------------------------


def measure_chain(report: Report) -> None:
    """From positions to an assignment, whole against a chain of scipy's, and by stage."""
    num_orders, num_drivers = (50, 200) if report.tiny else CHAIN
    orders, drivers = city_points(num_orders, num_drivers, seed=1)
    places = tuple(np.ascontiguousarray(side) for side in (*drivers.T, *orders.T))
    theirs = scipy_chain(orders, drivers)

    def check(name: str, answer: Any) -> None:
        served, cost = (answer.num_served, answer.total_cost) if name == OURS else answer
        if (served, cost) != theirs:
            raise WrongAnswerError(f"(served, cost) is {(served, cost)}, scipy's {theirs}")

    work = Work(
        lambda: chain(*places)[0], {"cKDTree + scipy sparse": lambda: scipy_chain(orders, drivers)}, check
    )
    report.compare(Case(f"chain {num_orders} × {num_drivers}", [lambda: work]))
    spent = [chain(*places)[1] for _ in range(7)]
    stages = {name: median(one[name] for one in spent) for name in spent[0]}
    lines = [(name, number(ms)) for name, ms in stages.items()]
    title = f"From positions to an assignment: {num_orders:,} orders, {num_drivers:,} drivers, k = {CHAIN_K}"
    report.table(Table(title, ("stage", "ms"), [*lines, ("all", number(sum(stages.values())))]))


def chain(driver_x, driver_y, order_x, order_y) -> tuple[matching.Assignment, dict[str, float]]:
    """Index, candidates, costs, assignment: four calls on arrays; milliseconds of each."""
    marks = [time.perf_counter()]
    index = GridIndex(driver_x, driver_y)
    marks.append(time.perf_counter())
    near = index.nearest(order_x, order_y, CHAIN_K, MAX_PICKUP_S * SPEED_M_S / LEAST_DETOUR)
    marks.append(time.perf_counter())
    cost = np.rint(near.distance_m * (LEAST_DETOUR / SPEED_M_S)).astype(np.int64)
    problem = AssignmentProblem(near.first, near.item, cost, len(driver_x))
    marks.append(time.perf_counter())
    assignment = solve(problem)
    marks.append(time.perf_counter())
    names = ("build the index", "nearest candidates", "cost", "assignment")
    return assignment, dict(zip(names, (np.diff(marks) * 1e3).tolist(), strict=True))


def scipy_chain(orders: np.ndarray, drivers: np.ndarray) -> tuple[int, int]:
    """The same by scipy; gives orders served and cost."""
    reach_m = MAX_PICKUP_S * SPEED_M_S / LEAST_DETOUR
    distance_m, driver = cKDTree(drivers).query(
        orders, CHAIN_K, distance_upper_bound=np.nextafter(reach_m, np.inf)
    )
    order, place = np.nonzero(np.isfinite(distance_m))
    cost = np.rint(distance_m[order, place] * (LEAST_DETOUR / SPEED_M_S)) + 1
    rows = np.arange(len(orders))
    width = len(drivers)
    row, column = np.concatenate([order, rows]), np.concatenate([driver[order, place], width + rows])
    unserved = np.full(len(orders), len(orders) * (MAX_PICKUP_S + 1.0))
    matrix = csr_matrix((np.concatenate([cost, unserved]), (row, column)), (len(orders), width + len(orders)))
    order, driver = min_weight_full_bipartite_matching(matrix)
    served = driver < width
    return int(served.sum()), int(matrix[order[served], driver[served]].sum()) - int(served.sum())


def measure_threads(report: Report) -> None:
    """Two equal problems at once on two threads: kernels release the lock of the interpreter."""
    problem = sparse_problem(TINY if report.tiny else FAMILIES["d k20"], seed=1)
    problems = [problem, copy.deepcopy(problem)]
    alone_ms, together_ms, busy_ms = [], [], []
    with ThreadPoolExecutor(2) as pool:
        for _ in range(7):
            started = time.perf_counter()
            for problem in problems:
                solve(problem)
            middle, busy = time.perf_counter(), time.process_time()
            list(pool.map(solve, problems))
            busy_ms.append((time.process_time() - busy) * 1e3)
            alone_ms.append((middle - started) * 1e3)
            together_ms.append((time.perf_counter() - middle) * 1e3)
    alone, together = min(alone_ms), min(together_ms)
    lines = [
        ("one after the other", number(alone)),
        ("at once on two threads", number(together)),
        ("processor time of these", number(min(busy_ms))),
        ("speed-up", number(alone / together)),
    ]
    note = "Where twice the second line is well above the third, a core was busy elsewhere: measure again."
    report.table(Table("Two equal problems of d k20, ms, the least of 7", ("", ""), lines, note))
