"""One simulated day, measured in a process of its own: its time, its streets, its memory, its kernels.

A child inherits the environment, takes its kernels from the cache, makes the day and runs it some times, then
again under the stopwatch of the kernels. The peak of its resident set is read after the first run: city,
travel times, day and event log, numpy and numba included.
"""

import gc
import hashlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from benchmarks.process import ROOT, peak_mb

WINDOW_S = 10.0
SHIFT_H = 24.0
"""Everybody is on duty all the time: the number of drivers is that of every instant."""
MS_PER_HOUR = 3_600_000
MANHATTAN, RHINE_NECKAR = "manhattan", "rhein_neckar"
BUILT_IN, ONE_HOUR = "built-in", "one hour"
HOUR_NODES = 7_600


class Day(NamedTuple):
    """What is simulated, and how often."""

    place: str
    """a folder of the data sets, `BUILT_IN`, or `ONE_HOUR`: an hour of the built-in city, nobody moody"""
    num_orders: int | None
    """about so many, from recorded ones by scaling the demand; None: the recorded ones"""
    num_drivers: int
    rounds: int = 1
    watched_rounds: int = 0
    """with the stopwatch of the kernels"""
    num_nodes: int = 8_000
    """of the built-in city"""


class DayFailedError(Exception):
    """A day did not come to its end."""


class Found(NamedTuple):
    """What a day showed; medians over rounds."""

    orders: int
    """of the day"""
    submitted: int
    """with those of customers who asked again"""
    served: int
    nodes: int
    events: int
    load_s: float
    """reading the city's files"""
    streets_s: float
    """its hierarchy, and free-flow travel times"""
    table_s: float
    """what a first run takes before its day: the table of all pairs where the network is small, people put at
    their places"""
    demand_s: float
    """orders, shifts, traffic and cruising"""
    day_s: float
    cpu_s: float
    """processor time of the day: beside ``day_s`` it tells whether the machine had other work"""
    rounds_s: list[float]
    peak_mb: float
    watched_s: float
    """the day with the stopwatch, the mean"""
    kernel_s: dict[str, float]
    """by kernel, in that day"""
    kernel_calls: dict[str, int]
    wrong: str = ""


def folder_of(place: str) -> Path | None:
    """Where a data set is, None if it is not there."""
    folder = os.environ.get("DISPATCH_DATA")
    path = Path(folder) / place if folder else None
    return path if path is not None and path.is_dir() else None


def find(day: Day, *, in_child: bool = True) -> Found:
    """Measure a day, in a fresh process if not told otherwise; raises `DayFailedError`."""
    if not in_child:
        return measure(day)
    command = [sys.executable, "-m", "benchmarks.sim_days", json.dumps(day._asdict())]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DayFailedError(_last_words(done.stderr, done.returncode))
    return Found(**json.loads(done.stdout))


def _last_words(text: str, status: int) -> str:
    """The line in which Python tells of an error, of all that a process wrote before it died."""
    lines = text.splitlines()
    errors = [line for line in lines if "Error: " in line]
    return (errors or lines or [""])[-1].strip() or f"exit status {status}"


def measure(day: Day) -> Found:
    """Make the day and run it; this process's peak is told. Nothing counts that happens only once a city."""
    from dispatch import warm_up
    from dispatch.sim.runner import run

    warm_up()
    scenario, prepared_s = make(day)
    table_s = run(scenario, should_stop=lambda: True).setup_s
    first, cpu_s = timed_run(scenario)
    peak, facts, wrong = peak_mb(), facts_of(first), judge(first)
    printed = fingerprint(first)
    days_s, cpus_s = [first.wall_s], [cpu_s]
    del first
    for _ in range(day.rounds - 1):
        again, cpu_s = timed_run(scenario)
        days_s.append(again.wall_s)
        cpus_s.append(cpu_s)
        if fingerprint(again) != printed:
            wrong = wrong or "the same day gave another log"
        del again
    return Found(
        **facts,
        **prepared_s,
        **watched(scenario, day.watched_rounds),
        table_s=table_s,
        day_s=median(days_s),
        cpu_s=median(cpus_s),
        rounds_s=days_s,
        peak_mb=peak,
        wrong=wrong,
    )


def timed_run(scenario: Any) -> tuple[Any, float]:
    """Run it; gives the run and its processor time, all threads."""
    from dispatch.sim.runner import run

    gc.collect()
    started = time.process_time()
    return run(scenario), time.process_time() - started


def watched(scenario: Any, rounds: int) -> dict[str, Any]:
    """Seconds by kernel, and of the whole day, the means of some rounds."""
    from dispatch.kernels.stopwatch import stopwatch
    from dispatch.sim.runner import Simulation

    whole_s, kernel_s, calls = 0.0, Counter(), {}
    for _ in range(rounds):
        simulation = Simulation(scenario)
        gc.collect()
        with stopwatch() as watch:
            started = time.perf_counter()
            simulation.run()
            whole_s += (time.perf_counter() - started) / rounds
        kernel_s.update({name: seconds / rounds for name, seconds in watch.seconds.items()})
        calls = watch.calls
    return {"watched_s": whole_s, "kernel_s": dict(kernel_s), "kernel_calls": calls}


def facts_of(done: Any) -> dict[str, int]:
    """Sizes of a day that was run."""
    from dispatch.engine.events import EventKind

    return {
        "orders": len(done.scenario.orders),
        "submitted": done.num_orders,
        "served": int((done.events["kind"] == EventKind.DROPPED_OFF).sum()),
        "nodes": done.scenario.city.graph.num_nodes,
        "events": len(done.events),
    }


def judge(done: Any) -> str:
    """What is wrong with a run, empty if it is right: its log is replayed, and somebody must be served."""
    from dispatch.analysis.invariants import check_invariants
    from dispatch.errors import DispatchError

    try:
        report = check_invariants(done.events)
    except DispatchError as error:
        return str(error)
    return "" if report.num_closed else "nobody was served"


def fingerprint(done: Any) -> str:
    """Tell logs apart."""
    return hashlib.blake2b(np.ascontiguousarray(done.events).view(np.uint8)).hexdigest()


# --- the days ------------------------------------------------------------------------------------


def make(day: Day) -> tuple[Any, dict[str, float]]:
    """Give the scenario of a day, and the seconds of the parts that do not count as the day."""
    from dispatch.sim.behaving import with_behaviour
    from dispatch.sim.behaviour import Behaviour, DriverParams, TrafficParams

    marks = [time.perf_counter()]
    city = load(day)
    marks.append(time.perf_counter())
    city.free_flow()
    marks.append(time.perf_counter())
    if day.place == ONE_HOUR:
        scenario = one_hour(city, day)
    else:
        lively = Behaviour(drivers=DriverParams(cruising="drift"), traffic=TrafficParams("assumed"))
        scenario = with_behaviour(replace(whole_day(city, day), behaviour=lively))
    marks.append(time.perf_counter())
    spent_s = [end - begin for begin, end in pairwise(marks)]
    return scenario, dict(zip(("load_s", "streets_s", "demand_s"), spent_s, strict=True))


def load(day: Day) -> Any:
    """Read or make up the city of a day."""
    from dispatch.roads.city import City

    if day.place in (BUILT_IN, ONE_HOUR):
        return City.synthetic(seed=1, num_nodes_about=day.num_nodes)
    path = folder_of(day.place)
    if path is None:
        raise FileNotFoundError(f"DISPATCH_DATA names no folder with {day.place}")
    return City.load(path)


def whole_day(city: Any, day: Day) -> Any:
    """Make the recorded day of a city, scaled to a number of orders; without trips a made-up one."""
    from dispatch.sim.demand_scale import scaled_demand
    from dispatch.sim.recorded_day import recorded_day
    from dispatch.sim.scenario import SimParams, made_up_day

    sim = SimParams(window_s=WINDOW_S)
    if city.trips is None:
        return made_up_day(city, day.num_orders, day.num_drivers, SHIFT_H, sim=sim)
    scenario = recorded_day(city, None, day.num_drivers, SHIFT_H, sim=sim)
    if day.num_orders is None:
        return scenario
    span_ms = scenario.start_at_ms, scenario.start_at_ms + 24 * MS_PER_HOUR
    scale = day.num_orders / len(scenario.orders)
    orders = scaled_demand(scenario.orders, scale, scenario.seed, span_ms)
    return replace(scenario, orders=orders, shifts=shifts_of(day, orders, scenario, 24 * MS_PER_HOUR))


def one_hour(city: Any, day: Day) -> Any:
    """Put the orders of a made-up day into one hour, evenly; people and cars are machines, as FleetPy's."""
    from dispatch.sim.scenario import SimParams, made_up_day

    sim = SimParams(window_s=WINDOW_S)
    scenario = made_up_day(city, day.num_orders, day.num_drivers, SHIFT_H, sim=sim)
    at_ms = np.sort(np.random.default_rng(1).integers(0, MS_PER_HOUR, len(scenario.orders)))
    orders = replace(scenario.orders, requested_at_ms=at_ms)
    return replace(scenario, orders=orders, shifts=shifts_of(day, orders, scenario, MS_PER_HOUR))


def shifts_of(day: Day, orders: Any, scenario: Any, span_ms: int) -> Any:
    """Everybody on duty for all of it, where these orders are."""
    from dispatch.sim.scenario import drain_ms
    from dispatch.sim.shifts import made_up_shifts

    start_ms = scenario.start_at_ms
    until_ms = start_ms + span_ms + drain_ms(scenario.params)
    return made_up_shifts(day.num_drivers, orders, (start_ms, until_ms), SHIFT_H, scenario.seed)


def main() -> None:
    (asked,) = sys.argv[1:]
    print(json.dumps(measure(Day(**json.loads(asked)))._asdict()))


if __name__ == "__main__":
    main()
