from dataclasses import replace

import numpy as np

from dispatch.eta import live_ways
from dispatch.eta.driven_ways import driven_ways
from dispatch.eta.live_ways import BACK, EVERY_MS, ways_as_told
from dispatch.eta.map_matching import match_pings
from eta.eta_city import eta_city, next_day

PINGS = next_day().pings
NOON_MS = int(np.median(PINGS.at_ms))


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
    told = ways_as_told(eta_city(), PINGS)
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
    told = listed(ways_as_told(eta_city(), PINGS).between(0, NOON_MS // EVERY_MS * EVERY_MS))
    later = PINGS.at_ms >= NOON_MS // EVERY_MS * EVERY_MS
    without = PINGS.between(0, NOON_MS // EVERY_MS * EVERY_MS)
    elsewhere = replace(PINGS, lat=np.where(later, PINGS.lat + 0.004, PINGS.lat))
    assert told
    assert listed(ways_as_told(eta_city(), without)) == told
    before = ways_as_told(eta_city(), elsewhere).between(0, NOON_MS // EVERY_MS * EVERY_MS)
    assert listed(before) == told


def test_parts_of_a_day_are_one(monkeypatch):
    told = listed(ways_as_told(eta_city(), PINGS))
    monkeypatch.setattr(live_ways, "_PINGS_AT_A_TIME", 2_000 * (BACK + 1))
    assert listed(ways_as_told(eta_city(), PINGS)) == told


def test_without_pings_there_are_none():
    assert ways_as_told(eta_city(), PINGS.between(0, 0)).num_ways == 0
