import numpy as np
import pytest

from assignments import (
    all_free,
    by_bids,
    by_paths,
    check_prices,
    graph_of,
    no_work,
    problem_of,
    solved,
)
from dispatch.kernels.assignment import (
    CUT_SHORT,
    DONE,
    FEW_ROWS,
    LARGEST_PENALTY,
    TOO_LARGE,
    Earlier,
    Outcome,
    assign,
    reassign,
)
from dispatch.matching import AssignmentProblem, certificate
from naive.assignment import best_by_trying, least_by_trying
from random_assignments import FAMILIES, in_unit_costs, random_penalty, random_problem

NO_START = Earlier(0, np.empty(0, np.int64))
WAYS = pytest.mark.parametrize("way", [by_paths, by_bids], ids=lambda way: way.__name__)
SCARCE = [[(c % 70, (r * c) % 23) for c in range(r, r + 3)] for r in range(FEW_ROWS + 5)]
"""More rows than columns, and enough of them for auctions."""


def assigned(problem, num_matchable, penalty=0, allowed=2**62):
    outcome = Outcome(
        np.full(problem.num_orders, penalty),
        np.full(problem.num_orders, -7, np.int32),
        np.empty(problem.num_orders, np.int64),
    )
    matching, work = all_free(problem.num_orders, problem.num_drivers), no_work(allowed)
    graph = (problem.first_candidate, problem.candidate_driver, problem.cost)
    return assign(*graph, num_matchable, NO_START, work, matching, outcome), outcome, matching, work


def hard(way, problem, penalty, earlier=(0, 0)):
    answer = solved(way, problem, penalty, earlier)
    proof = certificate(problem, answer, penalty)
    assert proof.optimal, proof
    return answer


@WAYS
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_either_way_is_best_where_rows_are_few(way, family):
    for seed in range(25):
        rng = np.random.default_rng(seed)
        problem = in_unit_costs(random_problem(rng, family, *rng.integers(1, 6, 2)))
        penalty = random_penalty(rng, problem)
        answer = hard(way, problem, penalty)
        if penalty is None:
            assert (answer.num_served, answer.total_cost) == best_by_trying(problem)
        else:
            left = answer.penalty[answer.driver_of_order == -1].sum()
            assert answer.total_cost + left == least_by_trying(problem, answer.penalty)


@pytest.mark.compiled
@WAYS
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_either_way_is_proven_best_on_random_problems(way, family):
    for seed in range(100):
        rng = np.random.default_rng(seed)
        problem = in_unit_costs(random_problem(rng, family, *rng.integers(1, 60, 2)))
        hard(way, problem, random_penalty(rng, problem))


@pytest.mark.compiled
def test_no_start_leads_astray():
    """Prices that are random, of any sign and size, taken for those of an assignment with any penalty."""
    for seed in range(400):
        rng = np.random.default_rng(seed)
        problem = in_unit_costs(random_problem(rng, FAMILIES[seed % len(FAMILIES)], *rng.integers(1, 20, 2)))
        low, high = rng.choice([1, problem.cost.max(initial=1) + 1, 2**60], 2)
        prices = rng.integers(-low, high, problem.num_drivers)
        earlier_penalty = int(rng.choice([1, 50, 2**40, 2**60, 2**62]))
        hard(by_bids, problem, random_penalty(rng, problem), (earlier_penalty, prices))


@WAYS
@pytest.mark.parametrize("short_of", ["columns", "rows", "both"])
def test_several_cities_each_short_of_one_side(way, short_of):
    """What is cut off and what is not meet in one graph; one pair of cities has an edge between them."""
    crowded = [[(d, 3 * r + d) for d in range(2)] for r in range(5)]
    spacious = [[(2 + d, 7 * d + r) for d in range(5)] for r in range(3)]
    rows = {"columns": crowded, "rows": spacious, "both": [*crowded, *spacious]}[short_of]
    bridged = [[*spacious[0], (1, 0)], *spacious[1:], *crowded] if short_of == "both" else rows
    for some in (rows, bridged):
        problem = problem_of(some, 8)
        answer = hard(way, problem, None)
        assert (answer.num_served, answer.total_cost) == best_by_trying(problem)


@WAYS
def test_numbers_at_the_limit_do_not_overflow(way):
    num_rows = 24
    highest = (LARGEST_PENALTY - 1) // (num_rows - 1)
    near = [[(j, highest - (i * j) % 7) for j in range(num_rows - 1)] for i in range(num_rows)]
    far = [
        [(j, highest * ((i + j) % 3 == 0)) for j in range(i % 5, num_rows - 1 - i % 4)]
        for i in range(num_rows)
    ]
    for rows in (near, far):
        problem = problem_of(rows, num_rows - 1)
        hard(way, problem, None)
        hard(way, problem, highest)
        hard(way, problem, LARGEST_PENALTY)


def test_a_row_with_one_column_and_rows_without():
    for way in (by_paths, by_bids):
        problem = problem_of([[(0, 5)], [], [(0, 4)], [(1, 0)], []], 3)
        answer = hard(way, problem, None)
        assert answer.driver_of_order.tolist() == [-1, -1, 0, 1, -1]


@pytest.mark.parametrize(("num_matchable", "penalty"), [(70, 0), (0, 9), (0, 1_000)])
def test_many_rows_that_wait_are_matched_by_bids(num_matchable, penalty):
    problem = problem_of(SCARCE, 70)
    (status, num_matched, total), outcome, matching, work = assigned(problem, num_matchable, penalty)
    asked = None if num_matchable else penalty
    by_hand = solved(by_paths, problem, asked)
    assert status == DONE
    assert work[0] != by_hand.edges_scanned
    matched = outcome.column != -1
    assert (matched.sum(), matched.tolist()) == (num_matched, (matching.edge_of_row != -1).tolist())
    assert (matching.row_of_column[outcome.column[matched]] == np.flatnonzero(matched)).all()
    assert outcome.price.sum() + matching.column_price.sum() == total + outcome.penalty[~matched].sum()
    left = penalty * (by_hand.driver_of_order == -1).sum() - penalty * (~matched).sum()
    assert total == by_hand.total_cost + left


@pytest.mark.parametrize("num_matchable", [0, 70])
def test_cut_short_anywhere_the_prices_are_a_bound(num_matchable):
    problem = problem_of(SCARCE, 70)
    full = assigned(problem, num_matchable, 15)[3][0]
    statuses = set()
    for allowed in [*range(0, full, max(full // 25, 1)), full]:
        (status, _, total), outcome, matching, _ = assigned(problem, num_matchable, 15, allowed)
        statuses.add(status)
        reduced = problem.cost - matching.column_price[problem.candidate_driver]
        assert (np.repeat(outcome.price, np.diff(problem.first_candidate)) <= reduced).all()
        assert (outcome.price <= outcome.penalty).all()
        assert (matching.column_price <= 0).all()
        paid = total + outcome.penalty[outcome.column == -1].sum()
        assert (paid == outcome.price.sum() + matching.column_price.sum()) or status == CUT_SHORT
    assert statuses == {DONE, CUT_SHORT}


def test_what_is_too_large_is_refused_before_anything_is_written():
    for num_matchable, cost, penalty in [
        (2, LARGEST_PENALTY // 2 + 1, 0),
        (1, LARGEST_PENALTY, 0),
        (0, LARGEST_PENALTY + 1, 0),
        (0, 0, LARGEST_PENALTY + 1),
        (0, 2**63 - 1, 2**63 - 1),
    ]:
        answer, outcome, matching, work = assigned(
            problem_of([[(0, cost)], [(0, 0)]], 2), num_matchable, penalty
        )
        assert answer[0] == TOO_LARGE
        assert outcome.column.tolist() == [-7, -7]
        assert matching.edge_of_row.tolist() == [-1, -1]
        assert work[0] == 0


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_an_assignment_is_mended_where_edges_are_added(family):
    for seed in range(25):
        rng = np.random.default_rng(seed)
        whole = in_unit_costs(random_problem(rng, family, *rng.integers(1, 12, 2)))
        penalty = int(rng.integers(0, 2 * whole.cost.max(initial=1) + 1))
        kept = np.flatnonzero(rng.random(len(whole.cost)) < 0.6)
        part = AssignmentProblem(
            np.searchsorted(kept, whole.first_candidate).astype(np.int32),
            whole.candidate_driver[kept],
            whole.cost[kept],
            whole.num_drivers,
        )
        _, outcome, matching, work = assigned(part, 0, penalty)
        matched = matching.edge_of_row != -1
        matching.edge_of_row[matched] = kept[matching.edge_of_row[matched]]
        graph = (whole.first_candidate, whole.candidate_driver, whole.cost)
        status, num_matched, total = reassign(*graph, work, matching, outcome)
        assert status == DONE
        matched = outcome.column != -1
        assert num_matched == matched.sum()
        assert total == whole.cost[matching.edge_of_row[matched]].sum()
        check_prices(graph_of(whole), outcome.penalty, matching)
        assert (outcome.penalty == penalty).all()


def test_mending_is_cut_short_as_well():
    problem = problem_of(SCARCE, 70)
    _, outcome, matching, work = assigned(problem, 0, 15)
    matching.edge_of_row[:], matching.row_of_column[:], work[2] = -1, -1, 0
    graph = (problem.first_candidate, problem.candidate_driver, problem.cost)
    status, _, _ = reassign(*graph, work, matching, outcome)
    assert status in (DONE, CUT_SHORT)
    reduced = problem.cost - matching.column_price[problem.candidate_driver]
    assert (np.repeat(outcome.price, np.diff(problem.first_candidate)) <= reduced).all()
