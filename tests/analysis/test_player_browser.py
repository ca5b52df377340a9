import time

import numpy as np
import pytest

from analysis.browser import errors, open_browser, open_page, requested, resize, wait_until
from analysis.driver_logs import walked_log
from analysis.logs import log_of
from analysis.player_pages import read_page
from analysis.runs import CITY, log_in_city
from dispatch.analysis.kpis import kpis
from dispatch.analysis.player import write_player
from dispatch.analysis.player_tracks import CarState
from dispatch.engine.events import EventKind
from naive.cars import place_at, state_counts

EVENTS = walked_log(11, CITY, num_steps=6000, num_drivers=30)
START_AT_MS = int(EVENTS["at_ms"][0])
HOUR_MS = 3_600_000
NOON_MS = 12 * HOUR_MS - START_AT_MS % (24 * HOUR_MS)
"""Since the log's start; the city keeps UTC"""
END_MS = int(EVENTS["at_ms"][-1]) - START_AT_MS
COUNTED = {
    "submitted": EventKind.ORDER_SUBMITTED,
    "completed": EventKind.DROPPED_OFF,
    "cancelled": EventKind.ORDER_CANCELLED,
    "expired": EventKind.ORDER_EXPIRED,
}
ENDS_WAITING = (EventKind.PICKED_UP, EventKind.ORDER_CANCELLED, EventKind.ORDER_EXPIRED)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    window = open_browser(tmp_path_factory.mktemp("profile"))
    yield window
    window.quit()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    where = tmp_path_factory.mktemp("pages") / "day.html"
    write_player(where, CITY, EVENTS)
    return where


def prefer(browser, **features):
    told = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": told})


@pytest.fixture
def page(browser, path):
    prefer(browser)
    resize(browser, 1280, 800)
    open_page(browser, path, "ready")
    return browser


def ask(page, expression):
    return page.execute_script(f"return {expression}")


def press(page, key, code=None):
    for kind in ("keyDown", "keyUp"):
        page.execute_cdp_cmd("Input.dispatchKeyEvent", {"type": kind, "key": key, "code": code or key})


def click(page, x, y, kind="Pressed"):
    for kind in ("mousePressed", "mouseReleased"):
        where = {"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1}
        page.execute_cdp_cmd("Input.dispatchMouseEvent", where)


def box(page, selector):
    return ask(page, f"document.querySelector('{selector}').getBoundingClientRect().toJSON()")


def drawn(page):
    """Settle, then give the map's pixels (height, width, 4)."""
    time.sleep(0.4)
    width, height = ask(
        page, "[document.getElementById('cars').width, document.getElementById('cars').height]"
    )
    bytes_ = ask(
        page,
        "Array.from(document.getElementById('cars').getContext('2d')"
        f".getImageData(0, 0, {width}, {height}).data)",
    )
    return np.array(bytes_, np.uint8).reshape(height, width, 4)


def test_it_opens_without_errors_and_without_a_network(page):
    time.sleep(0.5)
    assert errors(page) == []
    urls = requested(page)
    assert urls, "the log must have seen the page itself"
    assert [url for url in urls if not url.startswith(("file:", "data:"))] == []


def test_the_clock_advances_while_it_plays_and_stands_while_it_pauses(page):
    wait_until(page, "player.playing && player.time > 0")
    page.execute_script("player.setSpeed(60); player.seek(3600e3)")
    before, began = ask(page, "player.time"), time.monotonic()
    time.sleep(1.0)
    passed_ms, spent_ms = ask(page, "player.time") - before, 1000 * (time.monotonic() - began)
    assert 0.3 * 60 * spent_ms < passed_ms < 1.5 * 60 * spent_ms
    page.execute_script("player.pause()")
    stood = ask(page, "[player.time, document.getElementById('clock-time').textContent]")
    time.sleep(0.5)
    assert ask(page, "[player.time, document.getElementById('clock-time').textContent]") == stood
    assert "Paused at" in ask(page, "document.getElementById('said').textContent")


@pytest.mark.parametrize("since_ms", [NOON_MS, 0, 1, 5 * HOUR_MS + 1234, END_MS])
def test_any_instant_shows_what_a_replay_gives(page, path, since_ms):
    page.execute_script("player.pause(); player.seek(arguments[0])", since_ms)
    found = ask(page, "player.stateCounts()")
    expected = state_counts(EVENTS, START_AT_MS + since_ms)
    assert found == {state.name.lower(): expected[state] for state in CarState}
    told = ask(page, "[...document.querySelectorAll('#states b')].map(place => Number(place.textContent))")
    assert told == [expected[state] for state in CarState if state != CarState.OFF_DUTY]
    *_, columns = read_page(path)
    for car in range(30):
        shown = ask(page, f"player.car({car})")
        place = place_at(columns, car, since_ms)
        if shown["x"] is not None:
            assert (shown["x"], shown["y"]) == pytest.approx(place, abs=0.1)


@pytest.mark.parametrize("since_ms", [NOON_MS, END_MS])
def test_figures_so_far_are_those_of_the_log_so_far(page, since_ms):
    page.execute_script("player.pause(); player.seek(arguments[0])", since_ms)
    found, now = ask(page, "player.kpis()"), START_AT_MS + since_ms
    past = EVENTS[EVENTS["at_ms"] <= now]
    of_kind = {kind: past[past["kind"] == kind] for kind in EventKind}
    submitted, boarded = of_kind[EventKind.ORDER_SUBMITTED], of_kind[EventKind.PICKED_UP]
    ended = np.concatenate([of_kind[kind] for kind in ENDS_WAITING])["order_id"]
    waits = submitted["at_ms"] + submitted["wanted_after_ms"] <= now
    assert found["waiting"] == (waits & ~np.isin(submitted["order_id"], ended)).sum()
    for name, kind in COUNTED.items():
        assert found[name] == len(of_kind[kind])
    lately = boarded[boarded["at_ms"] > now - HOUR_MS]
    asked_at = dict(zip(submitted["order_id"].tolist(), submitted["at_ms"].tolist(), strict=True))
    waited = [one["at_ms"] - asked_at[int(one["order_id"])] for one in lately]
    assert found["wait_s"] == (pytest.approx(sum(waited) / len(waited) / 1000) if waited else None)
    metres = {kind: of_kind[kind]["leg_m"].sum() for kind in EventKind if (of_kind[kind]["leg_m"] > 0).any()}
    assert found["empty"] == pytest.approx(1 - metres[EventKind.DROPPED_OFF] / sum(metres.values()))
    states = state_counts(EVENTS, now)
    occupied = states[CarState.OCCUPIED] + states[CarState.OCCUPIED_NEXT]
    assert found["utilisation"] == pytest.approx(occupied / (30 - states[CarState.OFF_DUTY]))


def test_noon_is_noon(page):
    page.execute_script("player.pause(); player.seek(arguments[0])", NOON_MS)
    assert ask(page, "document.getElementById('clock-time').textContent") == "12:00:00"


def test_scrubbing_and_playing_come_to_the_same(page):
    page.execute_script(
        "player.pause(); for (let t = 0; t <= 5000e3; t += 7919) player.seek(t); player.seek(5e6);"
    )
    rolled = ask(page, "[player.stateCounts(), player.kpis(), [...Array(30).keys()].map(i => player.car(i))]")
    page.execute_script("player.seek(player.day.lengthMs); player.seek(0); player.seek(5e6);")
    leapt = ask(page, "[player.stateCounts(), player.kpis(), [...Array(30).keys()].map(i => player.car(i))]")
    assert rolled == leapt
    assert (
        ask(page, "player.day.alive.filter(row => player.day.waitEnd[row] > player.time).length")
        == rolled[1]["waiting"]
    )


def test_figures_at_the_end_are_those_of_the_report(browser, tmp_path):
    events = log_in_city(4)
    write_player(tmp_path / "day.html", CITY, events)
    open_page(browser, tmp_path / "day.html", "ready")
    browser.execute_script("player.pause(); player.seek(player.day.lengthMs)")
    found, expected = ask(browser, "player.kpis()"), kpis(events, travel_is_predicted=True)
    assert found["golden_five"] == pytest.approx(expected["golden5_share"])
    assert found["golden_ten"] == pytest.approx(expected["golden10_share"])
    assert found["empty"] == pytest.approx(expected["empty_km_share"])
    assert found["completed"] / found["submitted"] == pytest.approx(expected["completion_share"])
    assert found["cancelled"] / found["submitted"] == pytest.approx(expected["customer_cancel_share"])
    assert found["expired"] / found["submitted"] == pytest.approx(expected["expired_share"])
    assert found["waiting"] == found["open"] == 0


def test_speeds(page):
    page.execute_script("player.pause()")
    for speed in (1, 10, 60, 300, 900):
        page.execute_script(f"document.querySelector('#speeds button[value=\"{speed}\"]').click()")
        assert ask(page, "player.speed") == speed
        pressed = (
            "[...document.querySelectorAll('#speeds [aria-pressed=true]')].map(one => Number(one.value))"
        )
        assert ask(page, pressed) == [speed]


def test_keys(page):
    press(page, " ", "Space")
    assert not ask(page, "player.playing")
    press(page, " ", "Space")
    assert ask(page, "player.playing")
    page.execute_script("player.pause(); player.seek(2 * 3600e3)")
    for key, step_ms in {
        "ArrowRight": 60e3,
        "ArrowLeft": -60e3,
        "PageUp": 3600e3,
        "PageDown": -3600e3,
    }.items():
        before = ask(page, "player.time")
        press(page, key)
        assert ask(page, "player.time") - before == step_ms
    press(page, "End")
    assert ask(page, "player.time === player.day.lengthMs")
    press(page, "Home")
    assert ask(page, "player.time") == 0
    scale = ask(page, "player.map.scale")
    press(page, "+")
    assert ask(page, "player.map.scale") > scale
    press(page, "0")
    assert ask(page, "player.map.scale") == pytest.approx(scale)
    # A key pressed on a button is the button's.
    page.execute_script("document.querySelector('#speeds button').focus()")
    press(page, " ", "Space")
    assert not ask(page, "player.playing")


def test_everything_can_be_reached_and_has_a_name(page):
    nameless = """[...document.querySelectorAll('button, input, [tabindex]')].filter(one =>
        !(one.getAttribute('aria-label') || one.textContent.trim()) || one.tabIndex < 0).length"""
    assert ask(page, nameless) == 0
    page.execute_script("player.pause(); player.seek(arguments[0])", NOON_MS)
    slider = ask(page, "['aria-valuenow', 'aria-valuemax', 'aria-valuetext'].map(name =>"
                 " document.getElementById('scrub').getAttribute(name))")  # fmt: skip
    assert int(slider[0]) == round(NOON_MS / 1000) < int(slider[1])
    assert slider[2].startswith("12:00:00, ")


def test_the_time_bar_is_pressed(page):
    page.execute_script("player.pause()")
    bar = box(page, "#scrub")
    click(page, bar["x"] + 0.25 * bar["width"], bar["y"] + 10)
    assert ask(page, "player.time / player.day.lengthMs") == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_streets_and_cars_are_drawn(page, scheme):
    prefer(page, prefers_color_scheme=scheme)
    page.execute_script("player.pause(); player.seek(arguments[0])", NOON_MS)
    before = drawn(page)
    assert (before[..., :3].mean() > 128) == (scheme == "light")
    assert len(np.unique(before[..., :3].reshape(-1, 3), axis=0)) > 50
    # Without cars and orders other pixels remain, and streets are still there.
    page.execute_script(
        "for (const button of document.querySelectorAll('#states button')) button.click();"
        "player.day.alive.length = 0;"
    )
    after = drawn(page)
    assert 200 < np.any(before != after, axis=2).sum() < 0.5 * before[..., 0].size
    assert len(np.unique(after[..., :3].reshape(-1, 3), axis=0)) > 5


def test_a_car_is_pointed_at_chosen_and_let_go(page):
    page.execute_script("player.pause(); player.seek(arguments[0])", NOON_MS)
    car = ask(page, "[...Array(30).keys()].find(i => player.day.state[i] && player.day.isSeen[i])")
    about = ask(page, f"player.car({car})")
    x, y = ask(page, f"[player.map.left + player.day.x[{car}] * player.map.scale,"
               f" player.map.top + player.day.y[{car}] * player.map.scale]")  # fmt: skip
    corner = box(page, "#cars")
    x, y = x / ask(page, "player.map.ratio") + corner["x"], y / ask(page, "player.map.ratio") + corner["y"]
    page.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x, "y": y})
    wait_until(page, "!document.getElementById('tip').hidden", 5)
    click(page, x, y)
    wait_until(page, "player.map.chosen >= 0", 5)
    chosen = ask(page, "player.car(player.map.chosen)")
    text = ask(page, "document.getElementById('chosen').textContent")
    assert f"Car {chosen['id']}" in text
    assert (chosen["x"], chosen["y"]) == pytest.approx((about["x"], about["y"]), abs=1)
    press(page, "Escape")
    assert ask(page, "document.getElementById('chosen').hidden")
    page.execute_script(
        "const box = document.getElementById('find-car');box.value = arguments[0]; box.form.requestSubmit();",
        about["id"],
    )
    assert ask(page, "player.map.chosen") == car


def test_the_map_is_dragged_and_zoomed(page):
    page.execute_script("player.pause()")
    area = box(page, "#cars")
    x, y = area["x"] + area["width"] / 2, area["y"] + area["height"] / 2
    left, scale = ask(page, "[player.map.left, player.map.scale]")
    for kind, dx in (("mousePressed", 0), ("mouseMoved", 40), ("mouseMoved", 80), ("mouseReleased", 80)):
        where = {"type": kind, "x": x + dx, "y": y, "button": "left", "buttons": 1, "clickCount": 1}
        page.execute_cdp_cmd("Input.dispatchMouseEvent", where)
    assert ask(page, "player.map.left") == pytest.approx(left + 80, abs=10)
    under = ask(page, f"player.map.metres({x - area['x']}, {y - area['y']})")
    wheel = {"type": "mouseWheel", "x": x, "y": y, "deltaX": 0, "deltaY": -240}
    page.execute_cdp_cmd("Input.dispatchMouseEvent", wheel)
    wait_until(page, f"player.map.scale > {scale} * 1.2", 5)
    assert ask(page, f"player.map.metres({x - area['x']}, {y - area['y']})") == pytest.approx(under, abs=2)


def test_two_fingers_zoom_the_map(page):
    page.execute_script("player.pause()")
    area, scale = box(page, "#cars"), ask(page, "player.map.scale")
    x, y = area["x"] + area["width"] / 2, area["y"] + area["height"] / 2
    for kind, apart in (("touchStart", 40), ("touchMove", 80), ("touchMove", 120), ("touchEnd", None)):
        points = (
            [] if apart is None else [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}]
        )
        page.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert ask(page, "player.map.scale") / scale == pytest.approx(3, 0.1)
    assert ask(page, "player.map.chosen") == -1


def test_who_prefers_less_motion_starts_it(browser, path):
    prefer(browser, prefers_reduced_motion="reduce")
    resize(browser, 1280, 800)
    open_page(browser, path, "ready")
    time.sleep(0.3)
    assert ask(browser, "[player.playing, player.time]") == [False, 0]
    browser.execute_script("document.getElementById('play').click()")
    wait_until(browser, "player.time > 0", 5)
    prefer(browser)


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (900, 700), (400, 800), (360, 640)])
def test_nothing_overflows(page, width, height):
    resize(page, width, height)
    time.sleep(0.3)
    assert ask(page, "document.documentElement.scrollWidth") <= width
    for selector in ("#kpis dd", "#speeds button", "#states button", "header p", "#scrub", "#map"):
        boxes = f"""[...document.querySelectorAll('{selector}')].map(one =>
            [one.getBoundingClientRect().toJSON(), one.scrollWidth - one.clientWidth])"""
        for part in ask(page, boxes):
            assert part[0]["width"] > 0
            assert part[0]["right"] <= width + 0.5, selector
            assert part[1] <= 1, selector
    assert box(page, "#map")["height"] >= 165


def test_an_empty_log_says_so(browser, tmp_path):
    write_player(tmp_path / "empty.html", CITY, log_of())
    open_page(browser, tmp_path / "empty.html", "ready")
    assert errors(browser) == []
    assert "Nothing happened" in ask(browser, "document.getElementById('notice').textContent")
    assert not ask(browser, "player.playing")
