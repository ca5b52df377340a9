"""What ETAs are worth to a dispatcher: recorded days of San Francisco, the engine told by several of them.

Needs the environment variable DISPATCH_DATA, the folder of the data sets. Writes `result.md` beside this
file; the model, learnt in three minutes from the days before, and the figures of each run are kept in the
folder given by `--keep`: a study that was stopped goes on.

    python -m simulations.eta.make                      # four days, three seeds, some twenty minutes
    python -m simulations.eta.make --days 1 --seeds 1   # a look
"""

import argparse
import datetime
import json
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dispatch import City, run
from dispatch.analysis.kpis import measured
from dispatch.engine.params import DispatchParams
from dispatch.engine.policy import policy_named
from dispatch.eta.edge_times import EdgeTimes, EdgeTimesParams, Ways, fit_edge_times, week_slot
from dispatch.eta.features import Routed
from dispatch.eta.ground import Ground
from dispatch.eta.model import EtaModel
from dispatch.eta.times import EtaTimes
from dispatch.eta.training import train_eta
from dispatch.eta.trip_set import trip_set
from dispatch.roads.pings import RecordedPings
from dispatch.roads.travel_times import node_pairs
from dispatch.roads.trips import local_midnight_ms, zone_info
from dispatch.sim.day import week_offset_ms
from dispatch.sim.etas import free_flow_etas
from dispatch.sim.recorded_day import recorded_day
from dispatch.sim.scenario import SimParams
from dispatch.sim.streets import DayStreets
from dispatch.sim.summary import run_record
from dispatch.sim.traffic_fit import fit_traffic
from dispatch.units import NO_VALUE, UNREACHABLE_MS
from simulations.eta.page import LENGTHS_M, page

FIRST_DAY, NUM_DAYS, NUM_SEEDS = datetime.date(2008, 5, 31), 4, 3
WINDOW_S, WATCH_S = 30.0, 60.0
TOLD_MS = 30_000
"""For so long ETAs hold."""
STREETS_UNTIL_S, TREES_FROM_S = 60.0, 180.0
"""Seconds by streets: drives below the first are told by these alone, from the second on by the trees."""
TRUTHS = ("by hour", "by street")
ENGINES = {
    "free flow": ("free flow", "batch"),
    "by hour": ("by hour", "batch"),
    "learnt": ("learnt", "batch"),
    "learnt + streets": ("learnt + streets", "batch"),
    "by hour and length": ("by hour and length", "batch"),
    "true medians": ("true medians", "batch"),
    "by hour, promise": ("by hour", "promise"),
    "learnt, promise": ("learnt", "promise"),
    "by hour, rescue": ("by hour", "rescue"),
    "learnt, rescue": ("learnt", "rescue"),
    "learnt + streets, rescue": ("learnt + streets", "rescue"),
}
"""ETAs, and the policy that uses them"""
KPIS = {
    "late5": "pickup_late5_share",
    "mae_s": "pickup_eta_mae_s",
    "bias_s": "pickup_eta_bias_s",
    "golden5": "golden5_share",
    "golden10": "golden10_share",
    "wait_s": "wait_mean_s",
    "served": "completion_share",
    "empty": "empty_km_share",
    "true": "miss_true_share",
    "recall": "miss_recall_share",
}


class Medians:
    """Travel times by time whose medians are those of a spread: they know the length of a leg, too."""

    def __init__(self, spread):
        self._spread, self._latest = spread, None

    def at(self, at_ms):
        spread = self._spread.at(at_ms)
        if self._latest is None or self._latest.spread is not spread:
            self._latest = MediansAt(spread)
        return self._latest


@dataclass(frozen=True)
class MediansAt:
    """Those of an instant."""

    spread: Any

    @property
    def num_nodes(self):
        return self.spread.num_nodes

    @property
    def levels(self):
        return self.spread.levels

    def quantiles_ms(self, from_node, to_node):
        return self.spread.quantiles_ms(from_node, to_node)

    def pairs_ms(self, from_node, to_node):
        return self.quantiles_ms(from_node, to_node)[:, self.levels.index(0.5)].copy()


class ShortByStreets:
    """A model's ETAs, those of short drives by its streets alone.

    Trips with passengers between places that are near are often no drive from one to the other: who takes a
    taxi for 200 m comes back, or lets it wait.
    """

    def __init__(self, etas):
        self._etas, self._latest = etas, None

    def at(self, at_ms):
        now = self._etas.at(at_ms)
        if self._latest is None or self._latest.etas is not now:
            self._latest = ShortByStreetsAt(now, self._etas.model, at_ms)
        return self._latest


@dataclass(frozen=True)
class ShortByStreetsAt:
    """Those of an instant."""

    etas: Any
    model: EtaModel
    at_ms: int

    @property
    def num_nodes(self):
        return self.etas.num_nodes

    @property
    def levels(self):
        return self.etas.levels

    def quantiles_ms(self, from_node, to_node):
        return self.etas.quantiles_ms(from_node, to_node)

    def pairs_ms(self, from_node, to_node):
        from_node, to_node = node_pairs(from_node, to_node)
        told_ms, ground = self.etas.pairs_ms(from_node, to_node), self.model.ground
        first, edge = ground.routes(from_node, to_node)
        slot = np.repeat(week_slot([self.at_ms], self.model.city.timezone), len(from_node))
        way_s = ground.trips.ways_s(Ways(first, edge, np.ones(len(edge))), slot)
        trust = np.clip((way_s - STREETS_UNTIL_S) / (TREES_FROM_S - STREETS_UNTIL_S), 0.0, 1.0)
        drawn_ms = trust * told_ms + (1.0 - trust) * (ground.start_s + way_s) * 1000.0
        is_drive = (told_ms < UNREACHABLE_MS) & (from_node != to_node)
        return np.where(is_drive, np.rint(drawn_ms), told_ms).astype(np.int32)


@dataclass(frozen=True)
class Heldout:
    """The streets that held-out trips are timed on; what `fit_traffic` asks of a city."""

    metric: Any
    timezone: str

    def free_flow(self):
        return self.metric


def true_streets(city, metric, truth, trips):
    """Give the times of a truth at an ordinary hour, and its traffic, by trips of the days simulated."""
    if truth == "by street":
        free = EdgeTimes.free_flow(city.graph)
        usable, _ = trip_set(trips)
        routed = Routed.of(Ground(city, free, free, 0.0), usable)
        ways = Ways(routed.first, routed.edge, np.ones(len(routed.edge)))
        params = EdgeTimesParams(clip=0.2, edge_prior=2.0, slot_prior=5.0, start_s=30.0, cell_m=1000.0)
        weight = routed.has_way.astype(float)
        times, _ = fit_edge_times(city, ways, usable.duration_s, routed.drives.slot, params, weight)
        metric = city.network.customize(times.usual_ms())
    last_ms = int(trips.requested_at_ms.max()) + 1
    return metric, fit_traffic(Heldout(metric, city.timezone), trips, last_ms)


def train(city, before_ms, path):
    """Learn from all that was recorded before an instant, and write the model."""
    pings = None if city.pings_path is None else RecordedPings.load(city.pings_path, 0, before_ms)
    train_eta(city, city.trips, pings, before_ms=before_ms).save(path)


class Study:
    """The days, their truths, and what engines may be told."""

    def __init__(self, city, num_days, model_path, first_day=FIRST_DAY, num_drivers=None):
        self.city, self.num_drivers, self.metric = city, num_drivers, city.free_flow()
        zone = zone_info(city.timezone)
        self.dates = [first_day + datetime.timedelta(days=number) for number in range(num_days)]
        begins_ms = local_midnight_ms(first_day, zone)
        tested = city.trips.select(city.trips.requested_at_ms >= begins_ms)
        self.truths = {truth: true_streets(city, self.metric, truth, tested) for truth in TRUTHS}
        self.past = fit_traffic(city, city.trips, begins_ms)
        if not model_path.exists():
            train(city, begins_ms, model_path)
        self.model = EtaModel.load(model_path, city)
        self.learnt, self.free_flow = EtaTimes(self.model), free_flow_etas(self.metric)
        self.short = ShortByStreets(self.learnt)
        self.trips = tested
        self._days = {}

    def day(self, truth, date, seed):
        """The recorded day, its travel times those of the truth."""
        if (date, seed) not in self._days:
            self._days = {
                (date, seed): recorded_day(
                    self.city, date, self.num_drivers, seed=seed, sim=SimParams(WINDOW_S)
                )
            }
        metric, traffic = self.truths[truth]
        return replace(self._days[date, seed], travel_times=metric, traffic=traffic, slowdown=1.0)

    def etas(self, name, day):
        """What an engine is told."""
        fixed = {"free flow": self.free_flow, "learnt": self.learnt, "learnt + streets": self.short}
        if name in fixed:
            return fixed[name]
        is_true = name == "true medians"
        metric, traffic = (day.travel_times, day.traffic) if is_true else (self.metric, self.past)
        spread = DayStreets(metric, traffic, week_offset_ms(day)).uncertain_times()
        return spread if name == "by hour" else Medians(spread)

    def figures(self, truth, date, seed, engine):
        """Simulate a day, and measure it."""
        etas, policy = ENGINES[engine]
        day = self.day(truth, date, seed)
        params = DispatchParams(policy_named(policy), reestimate_every_s=WATCH_S)
        finished = run(replace(day, params=params, etas=self.etas(etas, day)))
        record = run_record(finished, 0.0, 0.0)
        found = {name: record.kpis[kpi] for name, kpi in KPIS.items()}
        return found | pickups(record.events) | {"run_s": finished.wall_s}


def pickups(events):
    """How far ETAs of pickups were off, all in all and by metres driven; how many came within ten minutes."""
    orders = measured(events).orders
    arrived = (orders.arrived_at_ms != NO_VALUE) & (orders.quoted_eta_ms != NO_VALUE)
    took_s = (orders.arrived_at_ms - orders.accepted_at_ms)[arrived] / 1000.0
    late_s = took_s - orders.quoted_eta_ms[arrived] / 1000.0
    band = np.searchsorted(LENGTHS_M, orders.pickup_m[arrived], side="right")
    num_bands = len(LENGTHS_M) + 1
    return {
        "late2": float((late_s > 120.0).mean()),
        "ten": float((took_s <= 600.0).mean()),
        "num": np.bincount(band, minlength=num_bands).tolist(),
        "sum_s": np.bincount(band, late_s, num_bands).tolist(),
        "size_s": np.bincount(band, np.abs(late_s), num_bands).tolist(),
        "took_s": np.bincount(band, took_s, num_bands).tolist(),
    }


def wall_times(study, rounds=3):
    """Seconds of a day, nothing watched: least of some rounds."""
    found = {}
    for engine, (etas, policy) in ENGINES.items():
        day = study.day("by hour", study.dates[0], 1)
        told = replace(day, params=DispatchParams(policy_named(policy)), etas=study.etas(etas, day))
        found[engine] = min(run(told).wall_s for _ in range(rounds))
    return found


def errors_of_trips(study):
    """Errors of ETAs on the held-out trips themselves, asked as the engine asks: by node, of nobody's car."""
    trips, day = study.trips, study.day("by hour", study.dates[0], 1)
    usable, _ = trip_set(trips)
    rows = np.flatnonzero(usable.from_node != usable.to_node)
    free_ms = study.metric.pairs_ms(usable.from_node[rows], usable.to_node[rows])
    rows = rows[free_ms < UNREACHABLE_MS]
    asked = usable.take(rows)
    paths = study.metric.paths(asked.from_node, asked.to_node)
    way_m = paths.at_m[paths.first[1:] - 1]
    band = np.searchsorted(LENGTHS_M, way_m, side="right")
    moment = asked.at_ms // TOLD_MS
    order = np.argsort(moment, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(moment[order])) + 1)
    found = {}
    for name in ("free flow", "by hour", "by hour and length", "learnt", "learnt + streets"):
        etas, eta_s = study.etas(name, day), np.empty(len(rows))
        for part in parts:
            now = etas.at(int(asked.at_ms[part[0]])) if hasattr(etas, "at") else etas
            eta_s[part] = now.pairs_ms(asked.from_node[part], asked.to_node[part]) / 1000.0
        late_s = asked.duration_s - eta_s
        found[name] = [
            [int(mine.sum()), *(float(one) for one in (np.abs(late_s[mine]).mean(), np.median(late_s[mine])))]
            for mine in (band == one for one in range(1, len(LENGTHS_M) + 1))
            if mine.any()
        ]
        found[name].append([len(rows), float(np.abs(late_s).mean()), float(np.median(late_s))])
    return found


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=NUM_DAYS, help="how many of the four days")
    parser.add_argument("--seeds", type=int, default=NUM_SEEDS)
    parser.add_argument(
        "--model", type=Path, help="learnt from the days before; by default it is learnt, and kept"
    )
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "dispatch-eta-study")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("result.md"))
    asked = parser.parse_args(arguments)
    city = City.load(Path(os.environ["DISPATCH_DATA"]) / "san_francisco")
    asked.keep.mkdir(parents=True, exist_ok=True)
    study = Study(city, asked.days, asked.model or asked.keep / "model.eta")
    make(study, asked.seeds, asked.keep / "runs.json", asked.out)


def make(study, num_seeds, kept, out):
    """Make the runs that are not kept, and write the page."""
    known = json.loads(kept.read_text()) if kept.exists() else {}
    names = [
        (truth, date, seed, engine)
        for date in study.dates
        for seed in range(1, num_seeds + 1)
        for truth in TRUTHS
        for engine in ENGINES
    ]
    for truth, date, seed, engine in names:
        key = f"{truth}|{date}|{seed}|{engine}"
        if key not in known:
            known[key] = study.figures(truth, date, seed, engine)
            keep(known, kept)
            print(key, {name: known[key][name] for name in ("late5", "mae_s", "bias_s", "run_s")}, flush=True)
    for name, measure in (("wall", wall_times), ("trips", errors_of_trips)):
        if name not in known:
            known[name] = measure(study)
            keep(known, kept)
    runs = {
        (truth, str(date), seed, engine): known[f"{truth}|{date}|{seed}|{engine}"]
        for truth, date, seed, engine in names
    }
    out.write_text(page(runs, known, study), encoding="utf-8")


def keep(known, path):
    """Write what is known, whole at every instant."""
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps(known))
    unfinished.replace(path)


if __name__ == "__main__":
    main()
