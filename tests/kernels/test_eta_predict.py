from dataclasses import replace

import numpy as np
import pytest

from dispatch.eta.features import COLUMNS
from dispatch.eta.pair_effects import LEVELS, PAIR_COLUMNS, PairEffects, fit_pair_effects
from dispatch.kernels.boosted_trees import BLOCK_ROWS, FEW_ROWS, workspace_for
from dispatch.kernels.eta_predict import (
    EDGE_KNOWN,
    FIRST_LIVE,
    LEAST_S,
    NUM_FORESTS,
    NUM_LIVE,
    PROBES_S,
    TRIPS_S,
    Asked,
    Ground,
    Model,
    Now,
    base_seconds,
    predict,
)
from dispatch.kernels.pair_effects import Ends
from dispatch.kernels.route_features import NUM_COLUMNS
from naive.boosted_trees import predicted, random_forest
from naive.pair_effects import effects_of
from naive.route_features import base_s, columns_of, live_of
from random_drives import drives_of, seconds_of, streets_of, ways_of

NUM_NODES, NUM_EDGES, NUM_PAST = 6, 10, 25
BASE = np.array([TRIPS_S, PROBES_S, TRIPS_S, TRIPS_S, TRIPS_S])
KNOWN = (-0.25, 0.1)
"""Logarithms of live factors between which forests are asked"""
NOTHING = Now(0.0, np.empty((0, EDGE_KNOWN), np.float32))


class World:
    """Streets, past trips and forests, and drives that are asked for."""

    def __init__(self, seed, num, has_live, start_s=30.0):
        rng = np.random.default_rng(seed)
        past = drives_of(rng, NUM_PAST, NUM_NODES, 900.0)
        self.past = Ends(past.from_x, past.from_y, past.to_x, past.to_y, past.part)
        self.residual = rng.normal(0, 0.3, NUM_PAST)
        self.effects, _ = fit_pair_effects(self.past, self.residual, np.zeros(NUM_PAST, np.int64))
        self.ground = Ground(
            streets_of(rng, NUM_NODES, NUM_EDGES),
            seconds_of(rng, NUM_EDGES),
            seconds_of(rng, NUM_EDGES),
            LEVELS,
            self.effects.table,
            start_s,
            *KNOWN,
        )
        self.forests = [self.forest(rng) for _ in range(NUM_FORESTS)]
        known = rng.normal(0, 0.4, (NUM_EDGES, EDGE_KNOWN)).astype(np.float32)
        known[:, 0] = np.exp(known[:, 0])
        self.now = Now(0.125, known) if has_live else NOTHING
        self.asked = Asked(drives_of(rng, num, NUM_NODES, 900.0), *ways_of(rng, num, NUM_EDGES))
        self.columns = np.zeros((len(COLUMNS) + 1, BLOCK_ROWS), np.float32)

    @staticmethod
    def forest(rng):
        """Half of the questions are for what differs most from drive to drive; no threshold is a value."""
        thresholds = rng.normal(0, 0.3, (len(COLUMNS), 4)).astype(np.float32)
        thresholds[:NUM_COLUMNS] = rng.uniform(-500, 500, (NUM_COLUMNS, 4))
        forest = random_forest(rng, (4, 0, 3, 5), thresholds)
        return replace(forest, names=COLUMNS)

    def model(self):
        trees = tuple(forest.trees for forest in self.forests)
        memo = np.empty((2, len(LEVELS.size_m)), np.int64)
        return Model(trees, tuple(workspace_for(one) for one in trees), BASE, memo)

    def way(self, i):
        return self.asked.edge[self.asked.first[i] : self.asked.first[i + 1]].tolist()

    def features(self):
        """All columns of each drive, by the oracles."""
        ends = Ends(*self.asked.drives[:4], self.asked.drives.part)
        rows = []
        for i in range(len(ends.from_x)):
            route = columns_of(self.asked.drives, i, self.way(i), *self.ground[:3])
            pair = effects_of(ends, i, self.past, self.residual, (-1, np.zeros(NUM_PAST)), LEVELS)
            slot = self.asked.drives.slot[i]
            live = live_of(self.ground.probes, slot, self.way(i), self.now) if len(self.now.edge) else [0] * 6
            rows.append([*route, *pair, *live])
        told = np.array(rows, np.float32).reshape(len(rows), FIRST_LIVE + NUM_LIVE)
        return np.pad(told, ((0, 0), (0, len(COLUMNS) - told.shape[1])))

    def expected(self, num_forests):
        features, drives = self.features(), self.asked.drives
        told = features[:, FIRST_LIVE + 1].astype(np.float64)
        features[:, FIRST_LIVE + 1] = np.clip(told, *KNOWN)
        beyond = np.exp(told - np.clip(told, *KNOWN))
        has_way = [
            bool(self.way(i)) or drives.from_node[i] == drives.to_node[i] for i in range(len(features))
        ]
        out = []
        for forest, row in zip(self.forests[:num_forests], BASE, strict=False):
            bases = [
                base_s(self.ground.start_s, float(f[row]), float(f[4]), way)
                for f, way in zip(features, has_way, strict=True)
            ]
            out.append(predicted(forest, features) * bases * beyond)
        return np.array(out)

    def predicted(self, num_forests, model=None):
        out_s = np.full((num_forests, len(self.asked.drives.slot)), np.nan)
        predict(self.asked, self.ground, self.now, model or self.model(), num_forests, self.columns, out_s)
        return out_s


@pytest.mark.parametrize("num", [0, 1, FEW_ROWS, FEW_ROWS + 1, 40])
@pytest.mark.parametrize("has_live", [False, True])
@pytest.mark.parametrize("num_forests", [2, NUM_FORESTS])
def test_predictions_are_those_of_the_oracles(num, has_live, num_forests):
    world = World(num, num, has_live)
    np.testing.assert_allclose(
        world.predicted(num_forests), world.expected(num_forests).reshape(num_forests, num), rtol=1e-4
    )


def test_drives_beyond_what_forests_know_are_among_them():
    told = World(40, 40, has_live=True).features()[:, FIRST_LIVE + 1]
    assert (told < KNOWN[0]).any()
    assert (told > KNOWN[1]).any()
    assert ((told > KNOWN[0]) & (told < KNOWN[1])).any()


@pytest.mark.parametrize("num", [BLOCK_ROWS + 3, 2 * BLOCK_ROWS + 30])
def test_blocks_after_the_first_are_predicted_alike(num):
    """One by one, none is in a block with another."""
    world = World(5, num, has_live=True)
    found, asked = world.predicted(NUM_FORESTS), world.asked
    model = world.model()
    for i in [0, BLOCK_ROWS - 1, BLOCK_ROWS, num - 1]:
        first = np.array([0, len(world.way(i))], np.int64)
        drives = type(asked.drives)(*(column[i : i + 1].copy() for column in asked.drives))
        world.asked = Asked(drives, first, np.array(world.way(i), np.int32))
        np.testing.assert_allclose(world.predicted(NUM_FORESTS, model)[:, 0], found[:, i], rtol=1e-12)
        world.asked = asked


@pytest.mark.parametrize("num", [3, 40])
def test_what_was_predicted_before_leaves_nothing_behind(num):
    """With live traffic, then without, then with it again, in the same memory."""
    world = World(6, num, has_live=True)
    model, now = world.model(), world.now
    with_live = world.predicted(NUM_FORESTS, model)
    world.now = NOTHING
    fresh = World(6, num, has_live=False)
    assert np.array_equal(world.predicted(NUM_FORESTS, model), fresh.predicted(NUM_FORESTS))
    assert (world.columns[FIRST_LIVE : FIRST_LIVE + NUM_LIVE, :num] == 0).all()
    world.now = now
    assert np.array_equal(world.predicted(NUM_FORESTS, model), with_live)


def test_a_drive_that_ends_where_it_begins_takes_a_second_at_least():
    assert base_seconds(0.0, 0.0, 500.0, True) == LEAST_S
    assert base_seconds(0.0, 0.0, 800.0, False) == 100
    assert base_seconds(30.0, 70.0, 800.0, True) == 100


def test_the_columns_that_kernels_write_are_the_first():
    assert (NUM_COLUMNS, len(PAIR_COLUMNS)) == (COLUMNS.index("pair_mean_4km"), FIRST_LIVE - NUM_COLUMNS)
    assert COLUMNS[PROBES_S] == "probes_s"
    assert COLUMNS[TRIPS_S] == "trips_s"
    assert COLUMNS[4] == "air_m"
    assert COLUMNS[FIRST_LIVE] == "live_city"
    assert COLUMNS[FIRST_LIVE + NUM_LIVE] == "live_driver"


def test_a_city_without_past_trips():
    world = World(8, 12, has_live=False)
    none = PairEffects(np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.float32))
    world.ground = world.ground._replace(effects=none.table)
    world.residual, world.past = world.residual[:0], Ends(*(column[:0] for column in world.past))
    np.testing.assert_allclose(world.predicted(2), world.expected(2), rtol=1e-4)
