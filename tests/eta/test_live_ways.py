from dataclasses import replace

import numpy as np
import pytest

from cities import T0
from dispatch.eta import live_ways
from dispatch.eta.driven_ways import driven_ways
from dispatch.eta.edge_times import NUM_SLOTS, EdgeTimes
from dispatch.eta.ground import Ground
from dispatch.eta.live_ways import BACK, EVERY_MS, LivePings, ways_as_told
from dispatch.eta.map_matching import match_pings
from dispatch.eta.model import PROBES, EtaModel
from dispatch.eta.times import EtaTimes
from dispatch.roads.city import City
from eta.eta_city import eta_city, next_day
from eta.incidents import Incident, busy_street, drives, slowed, two_banks, usual_ms

PINGS = next_day().pings
NOON_MS = int(np.median(PINGS.at_ms))


def as_told(pings):
    return ways_as_told(eta_city(), pings)[0]


def listed(ways):
    """Ways as comparable rows: driver, end, duration, edges and shares."""
    return [
        (int(ways.driver_id[i]), int(ways.ended_at_ms[i]), float(ways.duration_s[i]), *parts)
        for i, first in enumerate(ways.first[:-1])
        for parts in [
            (ways.edge[first : ways.first[i + 1]].tolist(), ways.share[first : ways.first[i + 1]].tolist())
        ]
    ]


def test_they_are_nearly_those_of_all_pings_at_one_go():
    """Every step is found once, in the minute in which it ended; 4 % have other edges than with hindsight."""
    told = as_told(PINGS)
    whole, _ = driven_ways(eta_city(), PINGS, match_pings(eta_city(), PINGS))
    assert abs(len(told.duration_s) / len(whole.duration_s) - 1) < 0.03
    assert (np.diff(told.ended_at_ms) >= 0).all()
    assert ((told.ended_at_ms + 1) % EVERY_MS == 0).all()
    kept = {(driver, end // EVERY_MS, edges) for driver, end, _, edges, _ in _tupled(whole)}
    alike = [(driver, end // EVERY_MS, edges) in kept for driver, end, _, edges, _ in _tupled(told)]
    assert np.mean(alike) > 0.9


def _tupled(ways):
    return [(driver, end, lasts, tuple(edges), shares) for driver, end, lasts, edges, shares in listed(ways)]


def test_a_way_hangs_on_no_later_ping():
    """Pings from a minute on that are gone, or elsewhere, change no way that counts before."""
    told = listed(as_told(PINGS).between(0, NOON_MS // EVERY_MS * EVERY_MS))
    later = PINGS.at_ms >= NOON_MS // EVERY_MS * EVERY_MS
    without = PINGS.between(0, NOON_MS // EVERY_MS * EVERY_MS)
    elsewhere = replace(PINGS, lat=np.where(later, PINGS.lat + 0.004, PINGS.lat))
    assert told
    assert listed(as_told(without)) == told
    before = as_told(elsewhere).between(0, NOON_MS // EVERY_MS * EVERY_MS)
    assert listed(before) == told


def test_parts_of_a_day_are_one(monkeypatch):
    told = listed(as_told(PINGS))
    monkeypatch.setattr(live_ways, "_PINGS_AT_A_TIME", 2_000 * (BACK + 1))
    assert listed(as_told(PINGS)) == told


def test_without_pings_there_are_none():
    assert as_told(PINGS.between(0, 0)).num_ways == 0


# --- pings as they come --------------------------------------------------------------------------

BEGIN_S, END_S, UNTIL_S = 1_200, 2_400, 3_100
STEP_S = 30


def model_of(city):
    """A model that knows the usual times of streets, and no trips."""
    num = city.graph.num_arcs
    usual = EdgeTimes(usual_ms(city) / 1000, np.zeros(num, np.int32), np.ones((NUM_SLOTS, 1)), np.zeros(num))
    return EtaModel.of_streets(Ground(city, usual, usual, 0.0), PROBES, {})


def followed(place, incident):
    """Live pings told every half minute; what ETAs of trips over the street are at some instants."""
    model = model_of(place.city)
    pings, told = LivePings(model), {}
    stream = drives(place.city, place.ends, UNTIL_S, incident=incident)
    times = EtaTimes(model, pings.live, remake_every_s=1)
    for at_s in range(STEP_S, UNTIL_S, STEP_S):
        now_ms = T0 + at_s * 1000
        pings.tell(stream.between(now_ms - STEP_S * 1000 + 1, now_ms + 1), now_ms)
        told[at_s] = times.at(now_ms).pairs_ms(*place.over).astype(float)
    return told


@pytest.mark.parametrize("where", ["built-in", pytest.param("San Francisco", marks=pytest.mark.long)])
def test_etas_see_an_incident_within_two_minutes_and_forget_it(where, request):
    """A bridge slows to a fifth: its ETAs rise by half of the true extra within two minutes of pings.

    Where there are ways around, by more: an ETA is that of the usual way. Before, noise is up to a fifth.
    """
    if where == "built-in":
        place = two_banks()
    else:
        place = busy_street(City.load(request.getfixturevalue("data") / "san_francisco"))
    incident = Incident(place.edges, BEGIN_S, END_S)
    told = followed(place, incident)
    usual = model_of(place.city).ground.metric.pairs_ms(*place.over).astype(float)
    extra = (slowed(place.city, incident).pairs_ms(*place.over) - usual).sum()
    share = {at_s: (etas - usual).sum() / extra for at_s, etas in told.items()}
    assert abs(share[BEGIN_S - STEP_S]) < 0.25
    assert share[BEGIN_S + 120] > 0.5
    assert share[END_S - STEP_S] > 0.5
    assert share[END_S + 600] < 0.25


def test_pings_told_twice_or_late_count_once():
    model = model_of(eta_city())
    one, other = LivePings(model), LivePings(model)
    begin_ms = int(PINGS.at_ms.min()) - 1
    for step in range(1, 60):
        now_ms = begin_ms + step * 60_000
        new = PINGS.between(now_ms - 59_999, now_ms + 1)
        first = one.tell(new, now_ms)
        assert other.tell(new, now_ms) == first
        assert other.tell(PINGS.between(now_ms - 30_000, now_ms + 1), now_ms) == 0
        one.tell(PINGS.between(begin_ms, begin_ms + 1000), now_ms)
    states = [live.live.arrays() for live in (one, other)]
    assert states[0]["edge"].any()
    for name in ("edge", "cell", "city"):
        np.testing.assert_array_equal(states[0][name], states[1][name])


def test_nothing_told_teaches_nothing():
    pings = LivePings(model_of(eta_city()))
    assert pings.tell(PINGS.between(0, 0), 1_000) == 0
    assert pings.live.clock_ms is None
