"""How right ETAs are on trips of later days, and how honest quantiles, against boosting on raw features.

Models learn from all days but the last four, and are tested on these. Peer (c) is gradient boosting
(LightGBM, L1) on coordinates, distance by air, time and weekday, its learner frozen; for quantiles the same
learner with the pinball loss. All learn in this process, from the same trips; pings of the last days count
only strictly before a trip sets out. The made-up city of the tests says nothing.
"""

import datetime
import os
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from benchmarks.harness import Report, Row, Table
from dispatch.eta.boosting import BoostingParams, Sample, train_forest
from dispatch.eta.driven_ways import DrivenWays
from dispatch.eta.evaluation import seconds_of, trip_features
from dispatch.eta.features import COLUMNS, GROUPS
from dispatch.eta.live_ways import ways_as_told
from dispatch.eta.model import EtaModel
from dispatch.eta.training import EtaParams, Prepared, finish, prepare
from dispatch.eta.trip_set import TripSet, trip_set
from dispatch.roads.city import City
from dispatch.roads.pings import RecordedPings
from dispatch.roads.trips import RecordedTrips, local_midnight_ms, zone_info
from dispatch.roads.week_slots import slots_of

FOLDER = "san_francisco"
TEST_DAYS = 4
PINGS_BEFORE_MS = 6 * 3_600_000
"""Live traffic of the test days is learnt from so long before them on."""
FROZEN = {
    "objective": "l1",
    "learning_rate": 0.05,
    "num_leaves": 63,
    "min_data_in_leaf": 40,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "seed": 1,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
FROZEN_TREES = 500
PEER = "(c) boosting on raw features"
FLOORS = {"MAE": 1 / 0.96, "MAPE": 1 / 0.94}
PARTS = {"live traffic": "live traffic", "driver": "driver", "similar trips": "similar trips"}
TRAFFIC_COLUMNS = ("probes_s", "trips_s")
_TINY = BoostingParams(trees=8, leaves=7, min_leaf=20)

Numbers = np.ndarray


class Experiment:
    """A city's trips, some to learn from and later ones to test on, and what follows from them once."""

    def __init__(self, tiny: bool) -> None:
        self.tiny = tiny
        self.city, self.trips, self.pings = made_up_data() if tiny else real_data()
        last = self.trips.days(self.city.timezone)[-1]
        zone = zone_info(self.city.timezone)
        self.before_ms = local_midnight_ms(last - datetime.timedelta(days=TEST_DAYS - 1), zone)
        self.params = EtaParams(median=_TINY, quantiles=_TINY) if tiny else EtaParams()

    @cached_property
    def prepared(self) -> Prepared:
        """What forests learn from."""
        found = prepare(self.city, self.trips, self.pings, before_ms=self.before_ms, params=self.params)
        assert isinstance(found, Prepared)
        return found

    @cached_property
    def model(self) -> EtaModel:
        """All of it."""
        return finish(self.prepared, self.params)

    @cached_property
    def learnt_from(self) -> TripSet:
        """The trips of the model."""
        trips, _ = trip_set(self.trips)
        return trips.take(np.flatnonzero(trips.end_ms < self.before_ms))

    @cached_property
    def tested(self) -> TripSet:
        """The trips of the last days."""
        trips, _ = trip_set(self.trips.select(self.trips.requested_at_ms >= self.before_ms))
        return trips

    @cached_property
    def ways(self) -> DrivenWays | None:
        """Ways driven on the tested days, as a live service learns of them."""
        if self.pings is None:
            return None
        ways, _ = ways_as_told(self.city, self.pings.between(self.before_ms - PINGS_BEFORE_MS, 2**62))
        return ways

    def as_engines_ask(self, is_live: bool) -> Numbers:
        """Predict the tested trips from node to node, by whom is not known."""
        graph, trips = self.city.graph, self.tested
        trips = trips._replace(
            from_lon=graph.node_lon[trips.from_node],
            from_lat=graph.node_lat[trips.from_node],
            to_lon=graph.node_lon[trips.to_node],
            to_lat=graph.node_lat[trips.to_node],
            driver_id=np.full(len(trips.row), -1, np.int64),
        )
        features, _, both = trip_features(self.model, trips, self.ways if is_live else None, None)
        return seconds_of(self.model, features, both)[0]

    @cached_property
    def features(self) -> tuple[np.ndarray, tuple[Numbers, Numbers]]:
        """Features of the tested trips, and seconds by streets alone."""
        features, _, both = trip_features(self.model, self.tested, self.ways, self.pings)
        return features, both

    def raw(self, trips: TripSet) -> np.ndarray:
        """What peer (c) is told."""
        x, y = self.city.projection.to_plane(trips.from_lon, trips.from_lat)
        to_x, to_y = self.city.projection.to_plane(trips.to_lon, trips.to_lat)
        minute = slots_of(trips.at_ms, self.city.timezone, 1)
        hour, weekday = minute % 1440 / 60, minute // 1440
        air_m = np.hypot(to_x - x, to_y - y)
        return np.column_stack([x, y, to_x, to_y, air_m, hour, weekday]).astype(np.float32)

    @cached_property
    def raw_features(self) -> tuple[np.ndarray, np.ndarray]:
        """Those of the trips to learn from, and to test on."""
        return self.raw(self.learnt_from), self.raw(self.tested)

    def by_peer(self, **changes: Any) -> Numbers:
        """What the frozen learner says of the tested trips."""
        settings = FROZEN | changes
        sample = lightgbm.Dataset(self.raw_features[0], self.learnt_from.duration_s, params=settings)
        trees = 8 if self.tiny else FROZEN_TREES
        return lightgbm.train(settings, sample, trees).predict(self.raw_features[1])

    def linear_in_distance(self) -> Numbers:
        """Least absolute deviations on the shortest distance by road."""
        graph = self.city.graph
        metric = self.city.network.customize(np.maximum(np.rint(graph.length_m * 10), 1).astype(np.int32))
        km = [metric.pairs_ms(t.from_node, t.to_node) / 1e4 for t in (self.learnt_from, self.tested)]
        sides = [np.column_stack([np.ones(len(one)), one]) for one in km]
        seconds, weight = self.learnt_from.duration_s, np.ones(len(km[0]))
        for _ in range(30):
            root = np.sqrt(weight)
            line = np.linalg.lstsq(sides[0] * root[:, None], seconds * root, rcond=None)[0]
            weight = 1 / np.maximum(np.abs(sides[0] @ line - seconds), 1.0)
        return sides[1] @ line

    def free_flow(self) -> Numbers:
        """What a router says that knows speed limits only."""
        return self.city.free_flow().pairs_ms(self.tested.from_node, self.tested.to_node) / 1e3


def real_data() -> tuple[City, RecordedTrips, RecordedPings]:
    """San Francisco's, where ``DISPATCH_DATA`` tells."""
    city = City.load(Path(os.environ["DISPATCH_DATA"]) / FOLDER)
    assert city.trips is not None
    assert city.pings_path is not None
    return city, city.trips, RecordedPings.load(city.pings_path)


def made_up_data() -> tuple[City, RecordedTrips, None]:
    """Six days of few trips in a small city, each as long as free flow says, times luck."""
    city = City.synthetic(seed=1, num_nodes_about=2000)
    rng, num = np.random.default_rng(1), 2000
    nodes = rng.integers(0, city.graph.num_nodes, (2, num)).astype(np.int32)
    at_ms = np.sort(rng.integers(0, 6 * 86_400_000, num)) + 1_211_000_400_000
    free_s = city.free_flow().pairs_ms(*nodes) / 1e3
    duration_s = np.rint(30 + free_s * 1.3 * rng.lognormal(0, 0.2, num)).astype(np.int32)
    lon, lat = city.graph.node_lon, city.graph.node_lat
    ends = (at[side] for side in nodes for at in (lon, lat))
    from_lon, from_lat, to_lon, to_lat = ends
    trips = RecordedTrips(
        *(at_ms, nodes[0], nodes[1], from_lon, from_lat, to_lon, to_lat, duration_s),
        rng.integers(0, 20, num),
        np.ones(num, np.int32),
    )
    return city, trips, None


def measure(report: Report) -> None:
    """Compare predictions of the tested trips."""
    experiment = Experiment(report.tiny)
    actual_s = experiment.tested.duration_s
    features, both = experiment.features
    predicted_s, quantile_s = seconds_of(experiment.model, features, both)
    peer_s = experiment.by_peer()
    for name, floor in FLOORS.items():
        report.add(accuracy_row(name, errors(predicted_s, actual_s), errors(peer_s, actual_s), floor))
    told = {
        "(a) free flow": experiment.free_flow(),
        "(b) linear in distance": experiment.linear_in_distance(),
        PEER: peer_s,
        "ours": predicted_s,
        "ours, from node to node, driver not known": experiment.as_engines_ask(is_live=True),
        "ours, the same without live traffic": experiment.as_engines_ask(is_live=False),
    }
    report.table(error_table(told, actual_s))
    report.table(parts_table(experiment, actual_s, errors(peer_s, actual_s)["MAE"]))
    report.table(quantile_table(experiment, quantile_s, peer_s, actual_s, report))
    report.note(
        f"learnt from {len(experiment.learnt_from.row):,} trips, tested on {len(actual_s):,}; both ends "
        "within 200 m of a node"
    )


def errors(predicted_s: Numbers, actual_s: Numbers) -> dict[str, float]:
    """Mean, median and relative error, and the share that came over five minutes late."""
    error_s = np.abs(predicted_s - actual_s)
    return {
        "MAE": float(error_s.mean()),
        "median": float(np.median(error_s)),
        "MAPE": float(100 * (error_s / actual_s).mean()),
        "late": float(100 * (actual_s - predicted_s > 300).mean()),
    }


def accuracy_row(name: str, ours: dict[str, float], peer: dict[str, float], floor: float | None) -> Row:
    """The peer's error over ours."""
    ratio = peer[name] / ours[name]
    return {
        "case": f"accuracy: {name} on later days",
        "ours_ms": None,
        "best_peer": PEER,
        "best_peer_ms": None,
        "ratio": float(f"{ratio:.4f}"),
        "floor": None if floor is None else float(f"{floor:.4f}"),
        "miss": floor is not None and ratio < floor,
        "peer_wins": ratio < 1,
        "wrong": {},
        "ours_error": float(f"{ours[name]:.4g}"),
        "peer_error": float(f"{peer[name]:.4g}"),
    }


def error_table(told: dict[str, Numbers], actual_s: Numbers) -> Table:
    """Errors of all predictors."""
    lines = []
    peer = errors(told[PEER], actual_s)
    for name, predicted_s in told.items():
        found = errors(predicted_s, actual_s)
        better = [f"{100 * (found[key] / peer[key] - 1):+.1f} %" for key in ("MAE", "MAPE")]
        figures = (f"{found['MAE']:.1f}", f"{found['median']:.1f}", f"{found['MAPE']:.2f}")
        lines.append((name, *figures, f"{found['late']:.2f}", *better))
    header = ("predictor", "MAE s", "median s", "MAPE %", "late > 5 min %", "MAE to (c)", "MAPE to (c)")
    return Table("errors on later days", header, lines)


def parts_table(experiment: Experiment, actual_s: Numbers, peer_mae: float) -> Table:
    """What each part brings: one forest without it, beside one with all; and what averaging two brings."""
    everything = list(range(len(COLUMNS)))
    one = one_forest(experiment, everything)
    two = seconds_of(experiment.model, *experiment.features)[0]
    rows = [("all, two forests averaged", two), ("all, one forest", one)]
    for name, group in PARTS.items():
        kept = [row for row in everything if COLUMNS[row] not in GROUPS[group]]
        rows.append((f"one forest without {name}", one_forest(experiment, kept)))
    kept = [row for row in everything if COLUMNS[row] not in TRAFFIC_COLUMNS]
    rows.append(("one forest without edge times by pings and trips", one_forest(experiment, kept, True)))
    lines = []
    for name, predicted_s in rows:
        mae = errors(predicted_s, actual_s)["MAE"]
        lines.append((name, f"{mae:.2f}", f"{100 * (mae / peer_mae - 1):+.2f} %"))
    return Table("what each part brings", ("model", "MAE s", "to (c)"), lines, "features out of fold, by day")


def one_forest(experiment: Experiment, columns: list[int], on_free_flow: bool = False) -> Numbers:
    """Grow the first of the model's forests on some columns only; perhaps of the ratio to free flow."""
    learnt, (features, both) = experiment.prepared.learnt, experiment.features
    base, tested = learnt.bases[0], both[0]
    if on_free_flow:
        free = COLUMNS.index("free_flow_s")
        base, tested = (60.0 + 1.3 * part[:, free].astype(np.float64) for part in (learnt.features, features))
    names = tuple(COLUMNS[row] for row in columns)
    some = np.ascontiguousarray(learnt.features[:, columns])
    sample = Sample(some, learnt.duration_s / base, base)
    boosting = replace(experiment.params.median, seed=experiment.params.seed)
    forest = train_forest(sample, names=names, objective="l1", params=boosting)
    return forest.predict(np.ascontiguousarray(features[:, columns])) * tested


def quantile_table(
    experiment: Experiment, quantile_s: Numbers, peer_median_s: Numbers, actual_s: Numbers, report: Report
) -> Table:
    """Coverage, over all and by four-hour bands, and pinball losses beside the peer's."""
    levels = experiment.model.levels
    peers = [
        peer_median_s if level == 0.5 else experiment.by_peer(objective="quantile", alpha=level)
        for level in levels
    ]
    band = (experiment.features[0][:, COLUMNS.index("hour")] // 4).astype(np.int64)
    lines = []
    for column, level in enumerate(levels):
        within = actual_s <= quantile_s[:, column]
        by_band = [f"{100 * within[band == one].mean():.1f}" for one in range(6) if (band == one).any()]
        losses = [pinball(told, actual_s, level) for told in (quantile_s[:, column], peers[column])]
        lines.append(
            (
                f"P{100 * level:.0f}",
                f"{100 * within.mean():.2f}",
                " ".join(by_band),
                *(f"{x:.2f}" for x in losses),
            )
        )
    ours, theirs = (
        float(np.mean([pinball(told, actual_s, level) for told, level in zip(sides, levels, strict=True)]))
        for sides in (list(quantile_s.T), peers)
    )
    report.add(accuracy_row("pinball loss", {"pinball loss": ours}, {"pinball loss": theirs}, None))
    header = ("quantile", "covers %", "by four hours of the day %", "pinball s", "pinball (c) s")
    return Table("quantiles on later days", header, lines)


def pinball(told_s: Numbers, actual_s: Numbers, level: float) -> float:
    """Mean pinball loss."""
    missed = actual_s - told_s
    return float(np.maximum(level * missed, (level - 1) * missed).mean())
