import base64
import re

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from analysis.driver_logs import walked_log
from analysis.logs import event, log_of
from analysis.player_pages import read_page
from analysis.runs import record
from cities import grid_city
from dispatch.analysis import player
from dispatch.analysis.player import write_player
from dispatch.analysis.player_ways import ways_between
from dispatch.engine.events import EventKind as K
from dispatch.errors import InputError
from naive.cars import PLACES, events_of_drivers, place_at

CITY = grid_city(12, 12)


def on_page(city, facts_columns, places):
    """Places in 1e-6 degrees as the page's metres, by what the page tells of a known order."""
    x, y = city.projection.to_plane([lon / 1e6 for lon, _ in places], [lat / 1e6 for _, lat in places])
    return np.column_stack([x - facts_columns[0], facts_columns[1] - y])


@given(seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_a_car_is_where_the_log_tells(tmp_path_factory, seed):
    events = walked_log(seed, CITY, num_steps=250)
    path = tmp_path_factory.mktemp("pages") / "day.html"
    write_player(path, CITY, events)
    _, _, columns = read_page(path)
    day = player._Day(CITY, events)
    corner = (day.world.min_x, day.world.max_y)
    checked = 0
    for car, own in enumerate(events_of_drivers(events)[one] for one in day.driver_id.tolist()):
        for number, (kind, at_ms, place) in enumerate(own):
            # Of several places told in one instant the last one holds.
            later = [one for one in own[number + 1 :] if one[1] == at_ms and one[0] in PLACES]
            if kind in PLACES and not later:
                expected = on_page(CITY, corner, [place])[0]
                assert place_at(columns, car, at_ms - day.start_at_ms) == pytest.approx(expected, abs=1.5)
                checked += 1
    assert checked > 5


def test_a_car_drives_along_the_fastest_way_and_takes_the_time_of_the_log(tmp_path):
    lon, lat = ((degrees * 1e6).round().astype(int) for degrees in (CITY.graph.node_lon, CITY.graph.node_lat))
    place = [{"lon_e6": lon[node], "lat_e6": lat[node]} for node in range(144)]
    events = log_of(
        event(K.DRIVER_ONLINE, 0, driver_id=1, **place[0]),
        event(K.ORDER_SUBMITTED, 0, 5, **place[60]),
        event(K.ORDER_ASSIGNED, 100_000, 5, 1, eta_ms=1),
        event(K.DRIVER_ARRIVED, 700_000, 5, 1, leg_m=9, **place[60]),
        event(K.PICKED_UP, 800_000, 5, 1),
        event(K.DROPPED_OFF, 1_800_000, 5, 1, leg_m=9, **place[143]),
    )
    write_player(tmp_path / "day.html", CITY, events)
    *_, columns = read_page(tmp_path / "day.html")
    day = player._Day(CITY, events)
    at = np.column_stack([day.x, day.y])
    corner = np.array([day.world.min_x, day.world.max_y])
    for begin, stop, from_ms, to_ms in ((0, 3, 100_000, 700_000), (3, 5, 800_000, 1_800_000)):
        ways = ways_between(CITY, at[[begin]], at[[stop]], player.TOLERANCES_M[0])
        x, y = ways.x_m - corner[0], corner[1] - ways.y_m
        for share in (0.0, 0.1, 0.33, 0.5, 0.77, 1.0):
            expected = tuple(np.interp(share * 65535, ways.share, axis) for axis in (x, y))
            found = place_at(columns, 0, from_ms + share * (to_ms - from_ms))
            assert found == pytest.approx(expected, abs=1.5)
    assert place_at(columns, 0, 50_000) == place_at(columns, 0, 0)
    assert place_at(columns, 0, 750_000) == place_at(columns, 0, 700_000)


def test_orders_and_metres(tmp_path):
    events = walked_log(3, CITY)
    write_player(tmp_path / "day.html", CITY, events)
    _, facts, columns = read_page(tmp_path / "day.html")
    submitted = events[events["kind"] == K.ORDER_SUBMITTED]
    ids = (columns["order_id_high"].astype(np.int64) << 32) | columns["order_id_low"].view(np.uint32)
    np.testing.assert_array_equal(ids, submitted["order_id"])
    since = submitted["at_ms"] - facts["startAtMs"]
    np.testing.assert_array_equal(columns["order_submitted"], since)
    np.testing.assert_array_equal(columns["order_waits"], since + submitted["wanted_after_ms"])
    cancelled = {int(one["order_id"]) for one in events[events["kind"] == K.ORDER_CANCELLED]}
    assert set(ids[columns["order_cancelled"] >= 0].tolist()) == cancelled
    assert np.abs(columns["driven_m"]).sum() == events["leg_m"][events["leg_m"] != -1].sum()
    aboard = events["leg_m"][events["kind"] == K.DROPPED_OFF].sum()
    assert columns["driven_m"][columns["driven_m"] > 0].sum() == aboard


def test_the_page_is_self_contained_and_tells_its_size(tmp_path):
    path = tmp_path / "day.html"
    size = write_player(path, CITY, record(1, "batch <b>"))
    page, facts, _ = read_page(path)
    assert path.stat().st_size == size
    assert f"One file of {size / 1e6:.1f} MB" in page
    assert "<title>Gridville · 2008-05-31 · batch &lt;b&gt;</title>" in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "http" not in page.replace("http-equiv", "")
    assert facts["offsetsMin"] == [0] * len(facts["offsetsMin"])


def test_the_same_log_writes_the_same_page(tmp_path):
    for name in ("a.html", "b.html"):
        write_player(tmp_path / name, CITY, walked_log(1, CITY), title="Day")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert "<h1>Day</h1>" in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_an_interrupted_run_says_so(tmp_path):
    write_player(tmp_path / "day.html", CITY, record(1, "batch", partial=True))
    assert "batch · interrupted</h1>" in (tmp_path / "day.html").read_text(encoding="utf-8")


def test_local_time_follows_the_zone():
    # Clocks of Berlin went back at 01:00 UTC of 25 October 2026.
    before_ms = 1_792_886_400_000
    assert player._offsets_min(before_ms, 3 * 3_600_000, "Europe/Berlin") == [120, 60, 60, 60]


def test_an_empty_log_is_a_page_too(tmp_path):
    write_player(tmp_path / "day.html", CITY, log_of())
    _, facts, columns = read_page(tmp_path / "day.html")
    assert facts["lengthMs"] == 0
    assert columns["change_first"].tolist() == [0]


def test_a_page_that_is_too_large_is_drawn_simpler_or_refused(tmp_path):
    events = walked_log(2, CITY, num_steps=3000)
    size = write_player(tmp_path / "day.html", CITY, events)
    smaller = write_player(tmp_path / "day.html", CITY, events, max_bytes=size - 1)
    assert smaller < size
    with pytest.raises(InputError, match=r"max_bytes is 1000: .* with ways simplified to 40 m"):
        write_player(tmp_path / "other.html", CITY, events, max_bytes=1000)
    assert [path.name for path in tmp_path.iterdir()] == ["day.html"]


def test_a_log_of_months_is_refused(tmp_path):
    events = log_of(
        event(K.DRIVER_ONLINE, 0, driver_id=1), event(K.DRIVER_OFFLINE, 40 * 86_400_000, driver_id=1)
    )
    with pytest.raises(InputError, match=r"events span 40\.0 days: a page shows up to 24"):
        write_player(tmp_path / "day.html", CITY, events)


def test_the_columns_are_base64(tmp_path):
    write_player(tmp_path / "day.html", CITY, walked_log(1, CITY))
    page = (tmp_path / "day.html").read_text(encoding="utf-8")
    text = re.search(r'id="player-columns">(.*?)</script>', page, re.DOTALL)[1]
    assert base64.b64decode(text, validate=True)
