"""The peers of the assignment suite, each given the problem in the form that suits it best.

What a peer needs made from the candidates (a matrix, a padded square, a network) is made beforehand and not
timed. The forms were chosen by trial on families b to e; where the choice matters its figure stands there.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from dispatch.matching import AssignmentProblem
from dispatch.units import NO_INDEX

LAPMOD_LIMIT = 1e6
"""lapmod refuses costs from here on."""
SMALL_CELLS = 300_000
"""Up to here a sparse problem is offered to dense solvers, too."""


class Prepared(NamedTuple):
    """A peer ready to solve one instance."""

    call: Callable[[], Any]
    read: Callable[[Any], np.ndarray]
    """from the answer to ``driver_of_order`` (orders,), `NO_INDEX` if unserved; not timed"""


class Question(NamedTuple):
    """What the peers are asked."""

    problem: AssignmentProblem
    penalty: int | None
    """per unserved order; None: as many served as possible, then least cost"""
    all_served: bool
    """known beforehand, for the good of peers that have a simpler form then"""

    @property
    def order(self) -> np.ndarray:
        """Order of each candidate."""
        return np.repeat(np.arange(self.problem.num_orders), np.diff(self.problem.first_candidate))

    def penalty_of(self, times_highest: int) -> int:
        """The penalty asked for, or one that is high enough here, as the comparison of objectives shows.

        A penalty that is safe whatever the costs slows OR-tools down: 20,000 instead of 6,000,001 on d k20
        took 362 instead of 608 ms (min-cost flow) and 553 instead of 717 ms (assignment).
        """
        highest = int(self.problem.cost.max(initial=1))
        return self.penalty if self.penalty is not None else times_highest * max(highest, 1)


def installed(module: str, name: str) -> Any:
    """A function or class of a peer, None where the package is not installed (or is another one)."""
    try:
        return getattr(import_module(module), name, None)
    except ImportError:
        return None


def scipy_sparse(question: Question) -> Prepared:
    """Costs + 1, since zeros vanish from the matrix.

    Where not all can be served a dummy column of its own for each order: 103 ms without, 151 ms with (c k20).
    Neither the size of the penalty nor dropping drivers without candidates mattered.
    """
    problem, order = question.problem, question.order
    num_orders, num_drivers = problem.num_orders, problem.num_drivers
    cost = problem.cost + 1.0
    driver, width = problem.candidate_driver, num_drivers
    if not question.all_served or question.penalty is not None:
        rows = np.arange(num_orders)
        order, driver = np.concatenate([order, rows]), np.concatenate([driver, num_drivers + rows])
        dummy = np.full(num_orders, question.penalty_of(num_orders + 1) + 1.0)
        cost, width = np.concatenate([cost, dummy]), num_drivers + num_orders
    matrix = csr_matrix((cost, (order, driver)), shape=(num_orders, width))

    def read(answer: Any) -> np.ndarray:
        return _drivers(num_orders, *answer, num_drivers)

    return Prepared(lambda: min_weight_full_bipartite_matching(matrix), read)


def scipy_dense(question: Question) -> Prepared:
    """A full matrix, a high cost where there is no candidate."""
    return _dense_of_sparse(question, linear_sum_assignment)


def lapx_dense(question: Question) -> Prepared | None:
    """As scipy's dense one."""
    solver = installed("lap", "lapjvr")
    if solver is None:
        return None
    return _dense_of_sparse(question, lambda matrix: solver(matrix, extend_cost=True, return_cost=False))


def _dense_of_sparse(question: Question, solver: Callable[[np.ndarray], Any]) -> Prepared:
    """Filling the matrix is part of the work: it is more than another form of the candidates."""
    problem, order = question.problem, question.order
    shape, penalty = (problem.num_orders, problem.num_drivers), float(question.penalty_of(10_000))

    def call() -> Any:
        matrix = np.full(shape, penalty)
        matrix[order, problem.candidate_driver] = problem.cost
        return solver(matrix)

    def read(answer: Any) -> np.ndarray:
        is_candidate = np.zeros(shape, np.bool_)
        is_candidate[question.order, problem.candidate_driver] = True
        order, driver = (np.asarray(side) for side in answer)
        served = is_candidate[order, driver]
        return _drivers(problem.num_orders, order[served], driver[served], problem.num_drivers)

    return Prepared(call, read)


def _square(question: Question, penalty: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Rows, columns and costs of a sparse square problem, sorted; its size is orders + drivers.

    A row for each order and each driver, a column for each driver and each order. An order that takes the
    column of its own stays unserved, a driver that takes its own idles, and for each candidate (i, j) row j
    may take column i free of charge, so that who is left over fits together. Free idling and the penalty on
    the orders' side suit lapmod: half of it on the drivers' side took 226 instead of 26 ms (c k20).
    """
    problem, order = question.problem, question.order
    num_orders, num_drivers = problem.num_orders, problem.num_drivers
    driver = problem.candidate_driver.astype(np.int64)
    orders, drivers = np.arange(num_orders), np.arange(num_drivers)
    row = np.concatenate([order, orders, num_orders + drivers, num_orders + driver])
    column = np.concatenate([driver, num_drivers + orders, drivers, num_drivers + order])
    free = np.zeros(num_drivers + len(driver))
    cost = np.concatenate([problem.cost, np.full(num_orders, penalty), free])
    by_place = np.lexsort((column, row))
    return row[by_place], column[by_place], cost[by_place], num_orders + num_drivers


def lapx_lapmod(question: Question) -> Prepared | None:
    """The padded square, with a penalty below lapmod's limit, by a coarser unit (exact: a power of two)."""
    lapmod = installed("lap", "lapmod")
    if lapmod is None:
        return None
    penalty = question.penalty_of(100)
    unit = 2.0 ** max(0, np.ceil(np.log2((penalty + 1) / LAPMOD_LIMIT)))
    row, column, cost, size = _square(question, penalty)
    cost = cost / unit
    first = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=size))]).astype(np.int32)
    column = column.astype(np.int32)
    problem = question.problem

    def read(answer: Any) -> np.ndarray:
        taken = answer[0][: problem.num_orders]
        return _drivers(problem.num_orders, np.arange(problem.num_orders), taken, problem.num_drivers)

    return Prepared(lambda: lapmod(size, cost, first, column, return_cost=False), read)


def ortools_assignment(question: Question) -> Prepared | None:
    """The padded square: this one must match everybody."""
    solver_class = installed("ortools.graph.python.linear_sum_assignment", "SimpleLinearSumAssignment")
    if solver_class is None:
        return None
    row, column, cost, _ = _square(question, question.penalty_of(33))
    solver = solver_class()
    solver.add_arcs_with_cost(row.astype(np.int32), column.astype(np.int32), cost.astype(np.int64))
    problem = question.problem

    def read(_answer: Any) -> np.ndarray:
        orders = np.arange(problem.num_orders)
        taken = np.array([solver.right_mate(order) for order in orders.tolist()], np.int64)
        return _drivers(problem.num_orders, orders, taken, problem.num_drivers)

    return Prepared(solver.solve, read)


def ortools_flow(question: Question) -> Prepared | None:
    """Orders → drivers → sink. With a penalty, a way around the drivers at that price.

    Without one, the cheapest of the largest flows: 235 ms, a way around at a high price 362 ms (d k20).
    """
    solver_class = installed("ortools.graph.python.min_cost_flow", "SimpleMinCostFlow")
    if solver_class is None:
        return None
    problem, num_orders = question.problem, question.problem.num_orders
    num_candidates, sink = len(problem.cost), num_orders + problem.num_drivers
    orders, drivers = np.arange(num_orders), np.arange(num_orders, sink)
    tail, head = (
        [question.order, drivers],
        [num_orders + problem.candidate_driver, np.full(len(drivers), sink)],
    )
    cost = [problem.cost, np.zeros(len(drivers))]
    if question.penalty is not None:
        tail, head = [*tail, orders], [*head, np.full(num_orders, sink)]
        cost = [*cost, np.full(num_orders, question.penalty)]
    solver = solver_class()
    ends = (np.concatenate(tail).astype(np.int32), np.concatenate(head).astype(np.int32))
    solver.add_arcs_with_capacity_and_unit_cost(
        *ends, np.ones(len(ends[0]), np.int64), np.concatenate(cost).astype(np.int64)
    )
    solver.set_nodes_supplies(orders.astype(np.int32), np.ones(num_orders, np.int64))
    solver.set_node_supply(sink, -num_orders)

    def read(_answer: Any) -> np.ndarray:
        used = solver.flows(np.arange(num_candidates, dtype=np.int32)) > 0
        return _drivers(num_orders, question.order[used], problem.candidate_driver[used], problem.num_drivers)

    return Prepared(
        solver.solve if question.penalty is not None else solver.solve_max_flow_with_min_cost, read
    )


def _drivers(num_orders: int, order: np.ndarray, driver: np.ndarray, num_drivers: int) -> np.ndarray:
    """``driver_of_order``; what is no driver is a dummy."""
    driver_of_order = np.full(num_orders, NO_INDEX)
    real = (driver >= 0) & (driver < num_drivers)
    driver_of_order[order[real]] = driver[real]
    return driver_of_order


SPARSE: dict[str, Callable[[Question], Prepared | None]] = {
    "scipy sparse": scipy_sparse,
    "lapx lapmod": lapx_lapmod,
    "ortools assignment": ortools_assignment,
    "ortools flow": ortools_flow,
}
SMALL: dict[str, Callable[[Question], Prepared | None]] = {
    "scipy dense": scipy_dense,
    "lapx lapjvr dense": lapx_dense,
}


def sparse_peers(question: Question) -> dict[str, Callable[[Question], Prepared | None]]:
    """Who takes part: the dense ones on small problems only, and without a penalty."""
    cells = question.problem.num_orders * question.problem.num_drivers
    return SPARSE | SMALL if cells <= SMALL_CELLS and question.penalty is None else SPARSE


# --- dense ---------------------------------------------------------------------------------------


def _rows_and_columns(name: str) -> Callable[[np.ndarray, bool], Callable[[], Any] | None]:
    """Of lapx's dense solvers, those that answer as scipy's does."""

    def prepare(cost: np.ndarray, is_exact_in_single: bool) -> Callable[[], Any] | None:
        solver = installed("lap", name)
        options: dict[str, Any] = {"return_cost": False}
        if name == "lapjvs":
            options |= {"jvx_like": True, "prefer_float32": is_exact_in_single}
        matrix = cost.astype(np.float32) if is_exact_in_single and name != "lapjvx" else cost
        return None if solver is None else lambda: solver(matrix, **options)

    return prepare


def _scipy(cost: np.ndarray, _is_exact_in_single: bool) -> Callable[[], Any]:
    return lambda: linear_sum_assignment(cost)


def _lapjv(cost: np.ndarray, is_exact_in_single: bool) -> Callable[[], Any] | None:
    """The package lapjv computes in single precision unless it is told otherwise."""
    solver = installed("lapjv", "lapjv")
    if solver is None:
        return None
    rows = np.arange(len(cost))
    if is_exact_in_single:
        single = cost.astype(np.float32)
        return lambda: (rows, solver(single)[0])
    return lambda: (rows, solver(cost, force_doubles=True)[0])


def _ortools(cost: np.ndarray, _is_exact_in_single: bool) -> Callable[[], Any] | None:
    """All arcs of whole costs, made beforehand."""
    solver_class = installed("ortools.graph.python.linear_sum_assignment", "SimpleLinearSumAssignment")
    if solver_class is None:
        return None
    row, column = (side.ravel().astype(np.int32) for side in np.indices(cost.shape))
    solver = solver_class()
    solver.add_arcs_with_cost(row, column, cost.ravel().astype(np.int64))
    return lambda: (solver.solve(), solver)


DENSE: dict[str, Callable[[np.ndarray, bool], Callable[[], Any] | None]] = {
    "scipy dense": _scipy,
    "lapx lapjvx": _rows_and_columns("lapjvx"),
    "lapx lapjvs": _rows_and_columns("lapjvs"),
    "lapx lapjvr": _rows_and_columns("lapjvr"),
    "lapjv": _lapjv,
    "ortools assignment": _ortools,
}
"""From a full square matrix, and whether float32 holds it exactly, to a call that gives rows and columns.

float32 is faster where costs are whole numbers: lapjvr 4,995 instead of 6,239 ms, lapjv 5,685 instead of
8,321 (5,000², city). lapx lapjv, lapjvc, lapjvh were never the best of their package.
"""


ONLY_SMALL = {"ortools assignment", "lapx lapjvx"}
"""Up to 1,000²: 25 million arcs of OR-tools take gigabytes, and lapjvs is faster than lapjvx."""


def dense_peers(cost: np.ndarray, whole: bool) -> dict[str, Callable[[], Any] | None]:
    """Who takes part; OR-tools with whole costs only."""
    left_out = ONLY_SMALL if len(cost) > 1_000 else set()
    if not whole:
        left_out = left_out | {"ortools assignment"}
    return {name: prepare(cost, whole) for name, prepare in DENSE.items() if name not in left_out}
