"""The benchmarks: they can say that we lose, and every suite compares right answers. No time is judged."""

import importlib.util
import io
import json
import os
import subprocess
import sys
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

import benchmarks.__main__ as command
from benchmarks import harness, peers, publish
from benchmarks.harness import OURS, Case, Pace, Report, Table, Timing, Work, WrongAnswerError, fails, row_of
from benchmarks.instances import Family, dense_costs, shuffled, sparse_problem
from dispatch.matching import AssignmentProblem, solve

ROOT = Path(__file__).resolve().parent.parent
ONE_CALL = Pace(least_rounds=5, most_rounds=5, slow_rounds=2, aim_s=0.0, least_ms=0.0)
WITHOUT_PEERS = {"simulate"}
ROW_KEYS = {"case", "ours_ms", "best_peer", "best_peer_ms", "ratio", "floor"}


def timed(**ms):
    return Timing(ms, {})


def row(floor, **ms):
    return row_of(Case("x", (), floor), [timed(**ms)], ())


# --- what a row says -----------------------------------------------------------------------------


def test_the_best_peer_is_the_fastest():
    found = row(2.0, ours=1.0, slow=9.0, quick=3.0)
    assert {key: found[key] for key in ROW_KEYS} == {
        "case": "x",
        "ours_ms": 1.0,
        "best_peer": "quick",
        "best_peer_ms": 3.0,
        "ratio": 3.0,
        "floor": 2.0,
    }
    assert found["peers_ms"] == {"quick": 3.0, "slow": 9.0}
    assert harness.remark(found) == ""
    assert not fails(found)


@pytest.mark.parametrize(
    ("peer_ms", "miss", "failed"),
    [(10.0, False, False), (9.9, True, False), (8.0, True, False), (7.9, True, True)],
)
def test_a_row_below_its_floor_is_a_miss_and_fails_below_four_fifths_of_it(peer_ms, miss, failed):
    found = row(10.0, ours=1.0, peer=peer_ms)
    assert found["miss"] == miss
    assert ("miss" in harness.remark(found)) == miss
    assert fails(found) == failed


def test_a_peer_that_wins_is_named():
    found = row(None, ours=2.0, peer=1.0)
    assert found["peer_wins"]
    assert harness.remark(found) == "peer wins"
    assert not fails(found)


def test_medians_over_instances():
    timings = [timed(ours=1.0, p=9.0, q=4.0), timed(ours=2.0, p=3.0, q=5.0), timed(ours=9.0, p=2.0, q=6.0)]
    found = row_of(Case("x", (), 1.0), timings, ())
    assert (found["ours_ms"], found["best_peer"], found["best_peer_ms"]) == (2.0, "p", 3.0)
    assert (found["ratio"], found["instances"]) == (1.5, 3)


def test_a_peer_with_a_wrong_answer_is_never_the_best_and_fails_the_row():
    found = row_of(Case("x", (), 1.0), [Timing({OURS: 1.0, "p": 2.0, "q": 3.0}, {"p": "7, not 8"})], ())
    assert found["best_peer"] == "q"
    assert "WRONG: p: 7, not 8" in harness.remark(found)
    assert fails(found)


def test_without_a_peer_no_ratio_is_judged():
    found = row_of(Case("x", (), 5.0), [timed(ours=1.0)], ["lapx"])
    assert (found["best_peer"], found["ratio"], found["miss"]) == (None, None, False)
    assert found["absent"] == ["lapx"]
    assert not fails(found)


def test_the_ratio_with_the_peers_own_form_counts_the_making_of_it():
    timing = Timing({OURS: 2.0, "p": 4.0, "q": 6.0}, {}, {"p": 8.0, "q": 1.0})
    found = row_of(Case("x", ()), [timing], ())
    assert (found["ratio"], found["ratio_with_form"]) == (2.0, 3.5)


LIMITED = Case("x", (), None, {"D": 2.0, "size": 10.0})


def limited(d_ms, size):
    return row_of(LIMITED, [Timing({OURS: 1.0, "D": d_ms}, {}, facts={"size": size}, beside=("D",))], ())


@pytest.mark.parametrize(
    ("d_ms", "size", "told", "failed"),
    [
        (0.5, 10.0, "", False),
        (0.45, 10.0, "D: 2.22, at most 2.00, miss", False),
        (0.5, 12.5, "size: 12.5, at most 10.0, miss", False),
        (0.39, 12.6, "D: 2.56, at most 2.00, size: 12.6, at most 10.0, miss", True),
    ],
)
def test_a_row_above_a_limit_is_a_miss_and_fails_where_the_limit_is_below_four_fifths(
    d_ms, size, told, failed
):
    found = limited(d_ms, size)
    assert harness.remark(found) == told
    assert found["miss"] == bool(told)
    assert fails(found) == failed


def test_what_is_timed_beside_is_no_peer():
    found = limited(0.5, 1.0)
    assert (found["best_peer"], found["peers_ms"], found["beside_ms"]) == (None, {}, {"D": 0.5})
    assert found["limits"] == {"D": {"value": 2.0, "at_most": 2.0}, "size": {"value": 1.0, "at_most": 10.0}}


# --- how it is timed -----------------------------------------------------------------------------


def test_calls_take_turns_and_each_begins_a_round():
    seen = []
    calls = {name: lambda name=name: seen.append(name) for name in ("ours", "p", "q")}
    work = Work(calls["ours"], {"p": calls["p"], "q": calls["q"], "missing": None})
    timing = harness.time_work(work, ONE_CALL)
    assert set(timing.ms) == {"ours", "p", "q"}
    first_calls, rounds = seen[:3], np.reshape(seen[3:], (5, 3)).tolist()
    assert first_calls == ["ours", "p", "q"]
    assert all(sorted(one) == ["ours", "p", "q"] for one in rounds)
    assert [one[0] for one in rounds] == ["ours", "p", "q", "ours", "p"]


def test_cheap_calls_are_repeated():
    count = []
    harness.time_work(Work(lambda: count.append(1), {}), ONE_CALL._replace(least_ms=1.0))
    assert len(count) > 100


def test_a_hopeless_peer_is_called_once_and_a_slow_one_in_fewer_rounds(monkeypatch):
    took_ms = {"ours": 1.0, "fast": 2.0, "slow": 5.0, "hopeless": 50.0}
    seen = []
    monkeypatch.setattr(harness, "HOPELESS_MS", 3.0)
    monkeypatch.setattr(harness, "SLOW_MS", 4.0)
    clock = [0.0]
    monkeypatch.setattr(harness.time, "perf_counter", lambda: clock[0])

    def call(name):
        seen.append(name)
        clock[0] += took_ms[name] / 1e3

    calls = {name: lambda name=name: call(name) for name in took_ms}
    timing = harness.time_work(Work(calls.pop("ours"), calls), ONE_CALL)
    assert timing.ms == pytest.approx(took_ms)
    assert {name: seen.count(name) for name in took_ms} == {"ours": 6, "fast": 6, "slow": 3, "hopeless": 1}


def test_times_are_told_per_unit_and_so_is_who_is_hopeless(monkeypatch):
    """The thorough peer takes long since it does much; the lazy one does a tenth and is hopeless."""
    took_ms = {"ours": 8.0, "thorough": 500.0, "lazy": 400.0, "yardstick": 900.0}
    clock, seen = [0.0], []
    monkeypatch.setattr(harness.time, "perf_counter", lambda: clock[0])

    def call(name):
        seen.append(name)
        clock[0] += took_ms[name] / 1e3
        return name

    def check(name, answer):
        assert name == answer != "yardstick"

    calls = {name: lambda name=name: call(name) for name in took_ms}
    beside = {"yardstick": calls.pop("yardstick")}
    units = {"ours": 4, "thorough": 50, "lazy": 5}
    timing = harness.time_work(Work(calls.pop("ours"), calls, check, beside=beside, units=units), ONE_CALL)
    assert timing.ms == pytest.approx({"ours": 2.0, "thorough": 10.0, "lazy": 80.0, "yardstick": 900.0})
    assert (seen.count("thorough"), seen.count("lazy"), seen.count("yardstick")) == (6, 1, 6)
    found = row_of(Case("x", (), None, {"yardstick": 1.0}), [timing], ())
    assert (found["best_peer"], found["ratio"], found["beside_ms"]) == ("thorough", 5.0, {"yardstick": 900.0})


def test_every_answer_is_checked():
    def check(name, answer):
        if answer != 1:
            raise WrongAnswerError(f"{answer} by {name}")

    timing = harness.time_work(Work(lambda: 1, {"right": lambda: 1, "wrong": lambda: 2}, check), ONE_CALL)
    assert timing.wrong == {"wrong": "2 by wrong"}


# --- the command ---------------------------------------------------------------------------------


def suite_of(*rows, then=None):
    """A suite that reports these rows, and then does something."""

    def measure(report):
        for one in rows:
            report.add(one)
        report.table(Table("More", ("a", "b"), [("1", "2")], "A note."))
        if then is not None:
            then()

    return types.SimpleNamespace(SUMMARY="made up", PACKAGES=("no-such-package",), measure=measure)


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run the command on a made-up suite; gives its exit status and the rows that it wrote."""

    def interrupted():
        raise KeyboardInterrupt

    def run_it(*rows, words=(), stop=False):
        suite = suite_of(*rows, then=interrupted if stop else None)
        monkeypatch.setattr(command, "set_up_process", lambda: None)
        monkeypatch.setattr("dispatch.warm_up", lambda: 0.0)
        monkeypatch.setattr(command, "import_module", lambda _: suite)
        status = command.main(["engine", "--json", str(tmp_path / "rows.json"), *words])
        return status, json.loads((tmp_path / "rows.json").read_text())

    return run_it


def test_the_exit_status_tells_of_a_row_far_below_its_floor(run, capsys):
    good, miss, bad = (row(10.0, ours=1.0, peer=ms) for ms in (11.0, 9.0, 7.0))
    assert run(good, miss)[0] == 0
    assert "below their floor: x" in capsys.readouterr().out
    status, rows = run(good, bad)
    assert status == 1
    assert rows == [good, bad]
    assert rows[0].keys() >= ROW_KEYS


def test_a_lost_row_and_an_absent_peer_are_told_plainly(run, capsys):
    run(row(None, ours=2.0, peer=1.0) | {"absent": ["lapjv"]})
    out = capsys.readouterr().out
    assert "lost: x to peer" in out
    assert "absent peers: lapjv" in out
    assert "no-such-package absent" in out


def test_an_interrupted_run_leaves_what_there_is(run, capsys):
    status, rows = run(row(None, ours=1.0, peer=2.0), stop=True)
    assert status == 130
    assert len(rows) == 1
    assert "interrupted" in capsys.readouterr().err


def test_only_a_full_run_is_published(run, monkeypatch, capsys):
    done = []
    monkeypatch.setattr(publish, "update_readme", lambda suite, section: done.append((suite, section)))
    monkeypatch.setattr(publish, "append_history", lambda suite, *_: done.append(suite))
    run(row(None, ours=1.0, peer=2.0))
    assert done == []
    with pytest.raises(SystemExit):
        run(words=["--quick", "--update-readme"])
    run(row(5.0, ours=1.0, peer=2.0), words=["--update-readme"])
    (suite, section), again = done
    assert (suite, again) == ("engine", "engine")
    assert "| x | 1.00 | peer | 2.00 | **2.00** | 5.00 | miss |" in section
    assert "**More**" in section


def test_help_shows_examples():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "python -m benchmarks assignment --quick" in done.stdout


# --- where figures go ----------------------------------------------------------------------------


def test_the_readme_keeps_what_stands_around_the_markers(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("# Head\n\ntext\n")
    publish.update_readme("a", "one\n", readme)
    publish.update_readme("b", "two\n", readme)
    readme.write_text(readme.read_text() + "\ntail\n")
    publish.update_readme("a", "three\n", readme)
    text = readme.read_text()
    assert text.startswith("# Head\n\ntext\n")
    assert text.endswith("tail\n")
    assert "one" not in text
    assert text.index("three") < text.index("a: end") < text.index("two")


def test_the_history_gets_a_line_of_json_per_run(tmp_path):
    report = Report(out=io.StringIO(), progress=io.StringIO())
    report.add(row(None, ours=1.0, peer=2.0))
    source = publish.origin(("no-such-package",))
    for _ in range(2):
        publish.append_history("a", report, source, tmp_path / "history.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert len(lines) == 2
    assert lines[0]["rows"] == report.rows
    assert {"suite", "date", "commit", "machine", "versions", "rows"} <= lines[0].keys()
    assert lines[0]["versions"]["no-such-package"] == "absent"


def test_the_published_readme_has_the_markers_of_the_suites_with_history():
    history = ROOT / "benchmarks" / "history.jsonl"
    lines = history.read_text().splitlines() if history.exists() else []
    text = (ROOT / "benchmarks" / "README.md").read_text()
    for suite in {json.loads(line)["suite"] for line in lines}:
        assert f"<!-- {suite}: begin" in text
        assert f"<!-- {suite}: end -->" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0, "0"),
        (0.012345, "0.0123"),
        (1.5, "1.50"),
        (42, "42.0"),
        (123.4, "123"),
        (98765, "98,765"),
    ],
)
def test_numbers_are_told_in_three_digits(value, text):
    assert harness.number(value) == text


# --- the suites ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "suite", [name for name in command.SUITES if importlib.util.find_spec(f"benchmarks.{name}")]
)
def test_a_tiny_run_of_the_suite_gets_right_answers_from_everybody(suite):
    module = importlib.import_module(f"benchmarks.{suite}")
    report = Report(tiny=True, out=io.StringIO(), progress=io.StringIO())
    module.measure(report)
    assert len(report.rows) >= 3
    assert [row["case"] for row in report.rows if row["wrong"]] == []
    assert suite in WITHOUT_PEERS or any(row["best_peer"] for row in report.rows)


def test_a_peer_that_is_not_installed_is_named_and_not_needed(monkeypatch):
    from benchmarks import assignment

    monkeypatch.setattr(peers, "installed", lambda *_: None)
    report = Report(tiny=True, out=io.StringIO(), progress=io.StringIO())
    assignment.measure(report)
    assert {"lapx lapmod", "ortools assignment", "ortools flow"} <= set(report.absent)
    assert all(row["best_peer"] is None or "scipy" in row["best_peer"] for row in report.rows)
    assert any(row["best_peer"] for row in report.rows)


@pytest.mark.parametrize("kind", ["city", "uniform whole", "uniform"])
def test_dense_solvers_agree_and_a_wrong_one_is_noticed(kind, monkeypatch):
    """scipy's solver stands for ours."""
    from benchmarks import assignment

    monkeypatch.setattr(assignment.matching, "linear_sum_assignment", linear_sum_assignment, raising=False)
    work = assignment.dense_work(assignment.DENSE[kind], 30, seed=1)
    assert work.peers["scipy dense"] is not None
    for name, call in work.peers.items():
        if call is not None:
            work.check(name, call())
    rows = np.arange(30)
    for wrong in (rows, np.zeros(30, np.int64)):
        with pytest.raises(WrongAnswerError):
            work.check("x", (rows, wrong))


def problems():
    """Small problems with what can go wrong: scarce drivers, none at all, costs of 0, many orders."""
    random = np.random.default_rng(5)
    made = [sparse_problem(Family(*sizes), 1) for sizes in ((60, 400, 6), (80, 50, 9))]
    num_of_order = random.integers(0, 4, 30)
    first = np.concatenate([[0], np.cumsum(num_of_order)])
    driver = np.concatenate([random.choice(12, num, replace=False) for num in num_of_order])
    made.append(
        AssignmentProblem.checked(first, driver.astype(np.int64), random.integers(0, 3, len(driver)), 12)
    )
    return made


@pytest.mark.parametrize("problem", problems(), ids=lambda p: f"{p.num_orders}x{p.num_drivers}")
@pytest.mark.parametrize("name", [*peers.SPARSE, *peers.SMALL])
def test_each_form_of_each_peer_gives_the_best_assignment(problem, name):
    from benchmarks.assignment import objective

    ours = solve(problem)
    question = peers.Question(problem, None, ours.num_served == problem.num_orders)
    prepared = (peers.SPARSE | peers.SMALL)[name](question)
    if prepared is None:
        assert name.startswith(("lapx", "ortools"))
        return
    driver_of_order = prepared.read(prepared.call())
    assert objective(problem, driver_of_order, None) == (ours.num_served, ours.total_cost)


def test_the_suite_notices_a_solver_that_is_not_best(monkeypatch):
    from benchmarks import assignment

    problem = sparse_problem(assignment.TINY, 1)
    work = assignment.sparse_work(problem, problem)
    best = solve(problem)
    with pytest.raises(WrongAnswerError):
        work.check(OURS, replace(best, total_cost=best.total_cost + 1))
    with pytest.raises(WrongAnswerError):
        assignment.objective(problem, np.zeros(problem.num_orders, np.int32), None)


def test_the_families_are_what_they_say():
    from benchmarks.assignment import TINY

    problem = sparse_problem(TINY, 1)
    for order in range(problem.num_orders):
        own = slice(problem.first_candidate[order], problem.first_candidate[order + 1])
        assert (np.diff(problem.cost[own]) >= 0).all()
    mixed = shuffled(problem, 1)
    assert not np.array_equal(mixed.cost, problem.cost)
    assert solve(mixed).total_cost == solve(problem).total_cost
    cost = dense_costs(9, 1)
    assert cost.shape == (9, 9)
    assert (cost == np.round(cost)).all()


# --- the roads -----------------------------------------------------------------------------------


@pytest.fixture
def one_way_streets():
    """Six nodes on a ring of one-way streets, two parallel ones among them, and a two-way short cut."""
    from benchmarks.road_cities import Streets
    from dispatch.roads.graph import RoadGraph

    tail, head = np.array([0, 0, 1, 2, 3, 4, 5, 1, 4]), np.array([1, 1, 2, 3, 4, 5, 0, 4, 1])
    kind = np.zeros(len(tail), np.int8)
    lonlat = np.arange(6) / 100, np.zeros(6)
    graph = RoadGraph.from_edges(lonlat, tail, head, np.full(len(tail), 9.0), np.full(len(tail), 9.0), kind)
    weight = {(1, 2): 10, (2, 3): 10, (3, 4): 10, (4, 5): 10, (5, 0): 10, (1, 4): 25, (4, 1): 25}
    ends = zip(graph.tail.tolist(), graph.head.tolist(), strict=True)
    ms = np.array([weight.get(end, 0) for end in ends], np.int32)
    ms[:2] = 90, 40  # parallel
    return Streets("ring", graph, ms)


INSTALLED_ROAD_PEERS = [
    kind for kind in ("Scipy", "Igraph", "Networkit", "Pandana") if importlib.util.find_spec(kind.lower())
]


@pytest.mark.parametrize("kind", INSTALLED_ROAD_PEERS)
def test_each_peer_of_the_roads_reads_the_network_right(kind, one_way_streets):
    from benchmarks import road_peers
    from benchmarks.road_cities import Candidates

    peer = getattr(road_peers, kind)(one_way_streets)
    source, target = np.array([0, 2, 1], np.int32), np.array([4, 1, 0], np.int32)

    def told(kind, *question):
        asked = getattr(peer, kind)(*question)
        answer = asked.read(asked.call())
        assert len(answer) == asked.num
        return answer

    for way in ("pairs", "single"):
        assert told(way, source, target).tolist() == [65, 45, 45]
    ways = [list(map(int, way)) for way in told("paths", source, target)]
    assert ways == [[0, 1, 4], [2, 3, 4, 1], [1, 4, 5, 0]]
    assert one_way_streets.times_of_ways(ways, source, target).tolist() == [65, 45, 45]
    assert told("table", source, target).tolist() == [[65, 40, 0], [20, 45, 40], [25, 0, 45]]
    # Two drivers at one node, candidates of two orders.
    drivers, orders = np.array([2, 5, 2, 0], np.int32), np.array([4, 1], np.int32)
    candidates = Candidates(drivers, orders, np.array([[0, 1], [2, 0]], np.int32))
    assert told("near", candidates).tolist() == [[20, 75], [45, 45]]
    if hasattr(peer, "nearest"):
        assert told("nearest", drivers, orders, 3).tolist() == [[20, 20, 65], [40, 45, 45]]
        assert told("one_to_all", 3).tolist() == [30, 35, 45, 0, 10, 20]


@pytest.mark.parametrize("way", [[0, 1], [1, 4], [0, 4], [0, 1, 0, 1, 4]])
def test_a_wrong_way_is_noticed(way, one_way_streets):
    with pytest.raises(WrongAnswerError):
        one_way_streets.times_of_ways([way], np.array([0]), np.array([4]))


def test_without_its_peers_the_roads_suite_names_them(monkeypatch, one_way_streets):
    from benchmarks import road_peers

    monkeypatch.setattr(road_peers, "installed", lambda *_: None)
    found = road_peers.peers_of(one_way_streets, lambda _: None)
    asked = road_peers.ask(found, "one_to_all", 0)
    assert [name for name, one in asked.items() if one is None] == ["igraph", "networkit", "pandana"]
    assert asked["scipy"].call().tolist() == [0, 40, 50, 60, 65, 75]


def test_the_roads_suite_notices_wrong_times_of_ours_and_of_a_peer(monkeypatch, one_way_streets):
    from benchmarks import road_builds, road_cities, road_peers, roads

    report = Report(tiny=True, out=io.StringIO(), progress=io.StringIO())
    questions = road_cities.Questions(one_way_streets, road_cities.TINY)
    judge, peers = road_peers.Scipy(one_way_streets, 2), {"p": road_peers.Scipy(one_way_streets)}
    with road_builds.ready(report, one_way_streets) as ready:
        asked = roads.queries(ready, questions)[0]
        work = roads.query_work(ready, asked, judge, peers)
        right = work.ours()
        for name in (OURS, "p"):
            answer = right if name == OURS else work.peers["p"]()
            work.check(name, answer)
            with pytest.raises(WrongAnswerError):
                work.check(name, np.array(answer) + 1)
        right = road_builds.right_metric(ready, one_way_streets.travel_ms)
        right(OURS, ready.metric)
        with pytest.raises(WrongAnswerError):
            right(OURS, ready.network.customize(one_way_streets.travel_ms + 1))


def test_multiples_of_the_yardstick_are_told_with_what_is_asked():
    from benchmarks import road_cities, roads

    assert [roads.in_d(value) for value in (7.04, 0.526, 1 / 5000)] == ["7.04 D", "0.526 D", "D/5,000"]
    report = Report(out=io.StringIO(), progress=io.StringIO())
    timing = Timing({OURS: 3.0, "D": 2.0, "whole": 10.0}, {}, facts={"array_mb": 90.0}, beside=("D", "whole"))
    report.add(row_of(Case("a", (), None, {"D": 1.3, "whole": 0.5, "array_mb": 80.0}), [timing], ()))
    report.add(row_of(Case("b", ()), [timed(ours=1.0)], ()))
    assert roads.yardstick_table(report).lines == [
        ("a", "3.00", "2.00", "1.50 D", "1.30 D", "0.650 D", "miss")
    ]
    assert roads.shares_table(report).lines == [
        ("a", "of whole", "0.300", "0.500", ""),
        ("a", "array mb", "90.0", "80.0", "miss"),
    ]
    assert road_cities.YARDSTICK in road_cities.QUICK_FOLDERS


def test_seconds_of_compiling_are_told_by_module(monkeypatch, capsys):
    from benchmarks import road_compile
    from dispatch.kernels import jit

    compiled = []
    function = types.SimpleNamespace(compile=compiled.append)
    kernels = {name: jit.Kernel(name, function, ((name,),)) for name in ("heap.push", "heap.pop", "csr.a")}
    monkeypatch.setattr(jit, "KERNELS", kernels)
    road_compile.main()
    spent_s = json.loads(capsys.readouterr().out)
    assert (list(spent_s), compiled) == (
        ["import", "heap", "csr"],
        [("heap.push",), ("heap.pop",), ("csr.a",)],
    )
    told = iter([{"import": 1.0, "heap": 2.5, "grid": 4.0}, {"import": 0.5, "heap": 0.25, "grid": 1.0}])
    monkeypatch.setattr(road_compile, "_in_child", lambda _: next(told))
    assert road_compile.compile_table(lambda _: None).lines == [
        ("import", "1.00", "0.50"),
        ("heap", "2.50", "0.25"),
        ("grid", "4.00", "1.00"),
        ("all but neighbour search", "3.50", "0.75"),
        ("all", "7.50", "1.75"),
    ]


def test_the_kernels_suite_runs():
    """Each of its functions once; what is timed is for --benchmark-only."""
    addopts = "addopts=--import-mode=importlib"
    words = ["benchmarks/test_kernels.py", "--benchmark-disable", "-o", addopts, "-k", "small or single"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words], cwd=ROOT, capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
