import datetime
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from cities import T0, grid_city, places
from dispatch.errors import InputError
from dispatch.kernels.geo import haversine_m
from dispatch.roads.city import City
from dispatch.roads.pings import RecordedPings
from dispatch.roads.trips import local_midnight_ms, zone_info
from dispatch.sim.cells import cut_into_cells
from dispatch.sim.cruising import CruiseHabits, CruiseModel
from dispatch.sim.cruising_fit import idle_pairs, local_hours, spells
from dispatch.units import NO_INDEX
from naive.cruising import cruise_along

CITY = grid_city(36, 36, block_m=100.0)


def pings_of(city, rows):
    """Rows are (driver, seconds after T0, node or None for far away, occupied)."""
    driver, second, node, occupied = zip(*rows, strict=True)
    lon, lat = (axis.copy() for axis in places(city, [n or 0 for n in node]))
    lat[[n is None for n in node]] += 1.0
    return RecordedPings(
        np.array(driver, np.int64),
        T0 + 1000 * np.array(second, np.int64),
        lon,
        lat,
        np.array(occupied, np.bool_),
    )


def test_what_is_an_idle_pair():
    pairs = idle_pairs(
        CITY,
        pings_of(
            CITY,
            [
                (1, 0, 5, False),
                (1, 60, 6, False),
                (1, 120, 7, True),  # picked up on the way
                (1, 180, 8, False),
                (1, 481, 8, False),  # too long ago
                (1, 541, None, False),  # not in the city
                (1, 600, 8, False),
                (1, 601, 100, False),  # as fast as no car
                (1, 661, 100, False),
                (2, 670, 100, False),
            ],
        ),
    )
    assert ((pairs.at_ms - T0) // 1000).tolist() == [0, 60, 601]
    assert pairs.gap_ms.tolist() == [60_000] * 3
    assert list(zip(pairs.from_node.tolist(), pairs.to_node.tolist(), strict=True)) == [
        (5, 6),
        (6, 7),
        (100, 100),
    ]
    assert pairs.starts_run.tolist() == [True, False, True]
    assert pairs.picked_up.tolist() == [False, True, False]


def test_a_stay_is_two_minutes_of_standing():
    nodes = [5, 6, 6, 7, 8, 8, 8, 9]
    pairs = idle_pairs(CITY, pings_of(CITY, [(1, 60 * i, node, False) for i, node in enumerate(nodes)]))
    assert pairs.stays.tolist() == [False, False, False, False, True, True, False]


def test_spells_end_with_the_state_or_the_run():
    number, first = spells(np.array([0, 0, 1, 1, 0], bool), np.array([1, 0, 0, 1, 0], bool))
    assert (number.tolist(), first.tolist()) == ([0, 0, 1, 2, 3], [0, 2, 3, 4])


def test_hours_are_local():
    at_ms = T0 + 900_000 * np.arange(3000)
    for timezone in ("America/Los_Angeles", "Asia/Kathmandu", "UTC"):
        expected = [
            datetime.datetime.fromtimestamp(ms / 1000, zone_info(timezone)).hour for ms in at_ms.tolist()
        ]
        assert local_hours(at_ms, timezone).tolist() == expected


def made_up_pings(model, num_drivers, hours, seed):
    """Pings each minute of drivers who follow a model."""
    random = np.random.default_rng(seed)
    start = random.integers(0, CITY.graph.num_nodes, num_drivers).astype(np.int32)
    lasts = np.full(num_drivers, hours * 3_600_000.0)
    seen = cruise_along(model, CITY.free_flow(), start, np.full(num_drivers, 22), lasts, seed)
    driver, step = np.nonzero(seen.node != NO_INDEX)
    rows = zip(
        driver.tolist(),
        (60 * step).tolist(),
        seen.node[driver, step].tolist(),
        [False] * len(step),
        strict=True,
    )
    return pings_of(CITY, list(rows)), seen


@pytest.fixture(scope="module")
def taught():
    """A model with a taste of its own, and what is learnt from its drivers. T0 is 22:13 UTC."""
    cells = cut_into_cells(CITY)
    corner = np.flatnonzero(cells.of_node == 0)[:1].astype(np.int32)
    truth = CruiseModel.drift(CITY, corner, np.zeros(1, int), CruiseHabits(0.2, 500.0, 2.0, decay_m=2500.0))
    pings, seen = made_up_pings(truth, 250, 5, 8)
    return truth, CruiseModel.learnt(CITY, pings, "UTC"), seen


def test_made_up_drivers_are_learnt_from_their_pings(taught):
    """Drivers of what was learnt stand, drive and spend their time as the first ones did."""
    _, learnt, seen = taught
    _, again = made_up_pings(learnt, 250, 5, 9)
    assert again.stays.mean() == pytest.approx(seen.stays.mean(), rel=0.12)
    assert again.driven_m.sum() == pytest.approx(seen.driven_m.sum(), rel=0.12)
    cells = cut_into_cells(CITY).of_node
    there, here = (np.bincount(cells[one.node].ravel()) / one.node.size for one in (seen, again))
    walk = CruiseModel.random_walk(CITY)
    _, walked = made_up_pings(replace(walk, stay_share=learnt.stay_share, stay_ms=learnt.stay_ms), 250, 5, 9)
    elsewhere = np.bincount(cells[walked.node].ravel()) / walked.node.size
    assert np.abs(there - elsewhere).sum() > 1.5 * np.abs(there - here).sum()


def test_lengths_of_stays_are_learnt(taught):
    truth, learnt, _ = taught
    assert learnt.stay_ms[[22, 23, 0, 1]].mean() == pytest.approx(truth.stay_ms[0], rel=0.25)


def test_only_pings_before_an_instant_count():
    rows = [(1, 60 * i, 5 + i % 2, False) for i in range(60)]
    later = [(1, 60 * i, 100 + i % 2, False) for i in range(60, 120)]
    some = CruiseModel.learnt(CITY, pings_of(CITY, rows), "UTC")
    all_of_them = pings_of(CITY, rows + later)
    cut = CruiseModel.learnt(CITY, all_of_them, "UTC", before_ms=T0 + 3_600_000)
    assert all(np.array_equal(one, other) for one, other in zip(some.arrays, cut.arrays, strict=True))
    assert not np.array_equal(some.target_cum, CruiseModel.learnt(CITY, all_of_them, "UTC").target_cum)


@pytest.mark.parametrize(
    "rows",
    [
        [(1, 0, 5, False)],
        [(1, 60 * i, 5 + i, True) for i in range(9)],
        [(1, 60 * i, 5, False) for i in range(9)],
        [(1, 60 * i, None, False) for i in range(9)],
    ],
    ids=["one ping", "never empty", "never drove", "elsewhere"],
)
def test_nothing_to_learn_from(rows):
    with pytest.raises(InputError, match=r"no taxi drove empty in Gridville: .* use CruiseModel.parked"):
        CruiseModel.learnt(CITY, pings_of(CITY, rows), "UTC")


def test_there_and_back_to_the_same_node_is_enough_to_learn_from():
    rows = [(1, 60 * i, (5, 6, 5)[i % 3], False) for i in range(4)]
    model = CruiseModel.learnt(CITY, pings_of(CITY, rows), "UTC")
    assert model.slowness == CruiseHabits().slowness
    assert (model.stay_share < 0.05).all()


# --- real taxis: fitted on 2008-05-24 … 30, compared with 2008-05-31 … 06-03 -----------------

SPLIT_MS = local_midnight_ms(datetime.date(2008, 5, 31), zone_info("America/Los_Angeles"))
DAY_MS = 86_400_000


@cache
def san_francisco(folder):
    """City, model of the 7 days before, and the idle pairs of the four days after."""
    city = City.load(folder / "san_francisco")
    before = RecordedPings.load(city.pings_path, SPLIT_MS - 7 * DAY_MS, SPLIT_MS)
    model = CruiseModel.learnt(city, before, city.timezone, SPLIT_MS)
    after = RecordedPings.load(city.pings_path, SPLIT_MS, SPLIT_MS + 4 * DAY_MS)
    return city, model, idle_pairs(city, after)


@cache
def followed(folder, name):
    """Every fifth recorded idle run of the test days, as drivers of a model would have spent it."""
    city, learnt, pairs = san_francisco(folder)
    walk = replace(
        CruiseModel.random_walk(city),
        **{n: getattr(learnt, n) for n in ("stay_share", "stay_ms", "slowness")},
    )
    first = np.flatnonzero(pairs.starts_run)
    lasts_ms = np.add.reduceat(pairs.gap_ms, first).astype(float)[::5]
    hour = local_hours(pairs.at_ms[first], city.timezone)[::5]
    model = {"learnt": learnt, "walk": walk}[name]
    return cruise_along(model, city.free_flow(), pairs.from_node[first][::5], hour, lasts_ms, 5), lasts_ms


def distance_to_recorded(folder, name):
    """Total variation between the cells of idle time, simulated and recorded."""
    _, model, pairs = san_francisco(folder)
    node = followed(folder, name)[0].node
    simulated = np.bincount(model.cell_of_node[node[node != NO_INDEX]], minlength=model.num_cells)
    recorded = np.bincount(model.cell_of_node[pairs.from_node], pairs.gap_ms, model.num_cells)
    return np.abs(simulated / simulated.sum() - recorded / recorded.sum()).sum() / 2


def test_taxis_stand_for_as_much_of_their_idle_time(data):
    _, _, pairs = san_francisco(data)
    seen, _ = followed(data, "learnt")
    recorded = pairs.gap_ms[pairs.stays].sum() / pairs.gap_ms.sum()
    simulated = seen.stays[seen.node[:, :-1] != NO_INDEX].mean()
    assert recorded == pytest.approx(0.275, abs=0.005)
    assert simulated == pytest.approx(recorded, rel=0.1)


def test_taxis_drive_as_many_empty_kilometres_in_an_idle_hour(data):
    """From minute to minute as the crow flies, for so the recorded are known; and along the streets."""
    city, _, pairs = san_francisco(data)
    seen, lasts_ms = followed(data, "learnt")
    lon, lat = city.graph.node_lon[seen.node], city.graph.node_lat[seen.node]
    both = seen.node[:, 1:] != NO_INDEX
    step_m = np.empty(int(both.sum()))
    haversine_m(lon[:, :-1][both], lat[:, :-1][both], lon[:, 1:][both], lat[:, 1:][both], step_m)
    recorded = pairs.step_m.sum() / pairs.gap_ms.sum() * 3600
    assert recorded == pytest.approx(13.96, abs=0.05)
    assert step_m.sum() / len(step_m) * 0.06 == pytest.approx(recorded, rel=0.1)
    assert seen.driven_m.sum() / lasts_ms.sum() * 3600 == pytest.approx(recorded, rel=0.1)


def test_taxis_are_where_they_were_and_not_where_a_random_walk_leads(data):
    assert distance_to_recorded(data, "learnt") < 0.11
    assert distance_to_recorded(data, "walk") > 0.2
