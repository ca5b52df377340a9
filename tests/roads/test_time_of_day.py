import datetime
import itertools
import threading
from dataclasses import replace
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.errors import InputError
from dispatch.roads.city import City
from dispatch.roads.time_of_day import DAY_KINDS, ByTime, MetricsByTime, TimeOfDay, load_time_of_day
from dispatch.units import UNREACHABLE_MS
from roads.small_city import city_of, square, write

MONDAY = datetime.datetime(2024, 3, 4, tzinfo=datetime.UTC)
DAY, WEEK = 1440, 7 * 1440


def at(day, hour, minute=0, second=0, zone="UTC"):
    """Instant of a local time, the day counted from a Monday."""
    local = datetime.datetime(2024, 3, 4 + day, hour, minute, second, tzinfo=ZoneInfo(zone))
    return round(local.timestamp() * 1000)


def by_hour(values, start_h=0, **options):
    """One arc, a slot an hour: `values` (72,) of weekday, Saturday, Sunday."""
    return TimeOfDay(
        np.repeat([0, 1, 2], 24),
        np.tile(np.arange(start_h, start_h + 24) * 60, 3),
        np.array(values, np.int32)[:, None],
        **options,
    )


def naive_ms(kinds, starts, values, minute_of_week):
    """Interpolate in plain Python: lay out three weeks, find the middles on either side."""
    begins = []
    for day in range(-7, 14):
        kind = {5: 1, 6: 2}.get(day % 7, 0)
        begins += [
            (day * DAY + start, row)
            for row, (k, start) in enumerate(zip(kinds, starts, strict=True))
            if k == kind
        ]
    begins.sort()
    middles = [(Fraction(begin + after, 2), row) for (begin, row), (after, _) in itertools.pairwise(begins)]
    for (early, first), (late, second) in itertools.pairwise(middles):
        if early <= minute_of_week < late:
            share = (minute_of_week - early) / (late - early)
            if UNREACHABLE_MS in (values[first], values[second] if share else None):
                return UNREACHABLE_MS
            return int(values[first] + (values[second] - values[first]) * share + Fraction(1, 2))
    raise AssertionError(minute_of_week)


def test_the_rule_by_hand():
    """Steps of 15 minutes take the times of their middle; a slot's times hold in its own middle."""
    times = by_hour([*range(0, 24_000, 1000), *[50_000] * 24, *[90_000] * 24])
    # 10:15 … 10:30 has its middle at 10:22.5: from 9:30 (9 s) to 10:30 (10 s) that is 52.5 of 60 minutes.
    for minute, second in ((15, 0), (20, 0), (29, 59)):
        assert times.travel_ms_at(at(2, 10, minute, second), "UTC").tolist() == [9875]
    assert times.travel_ms_at(at(2, 10, 30), "UTC").tolist() == [10_125]
    assert times.travel_ms_at(at(4, 23, 30), "UTC").tolist() == [23_000 + 27_000 // 8]  # Friday to Saturday
    assert times.travel_ms_at(at(5, 0, 15), "UTC").tolist() == [50_000 - 27_000 // 8]
    assert times.travel_ms_at(at(6, 12), "UTC").tolist() == [90_000]
    assert times.travel_ms_at(at(7, 0, 0), "UTC").tolist() == [
        round(90_000 * (1 - 37.5 / 60))
    ]  # the next week
    assert times.travel_ms_at(at(0, 0, 0), "UTC").tolist() == [round(90_000 * (1 - 37.5 / 60))]


def test_hours_are_those_of_the_local_clock():
    times = by_hour([*range(0, 24_000, 1000)] * 3)
    assert times.travel_ms_at(at(1, 10, 22, zone="America/New_York"), "America/New_York").tolist() == [9875]
    assert times.travel_ms_at(at(1, 10, 22, zone="America/New_York"), "UTC").tolist() == [14_875]
    night = datetime.datetime(2024, 3, 9, 3, tzinfo=datetime.UTC)  # still Friday, 22:00, in New York
    assert times.blend_at(round(night.timestamp() * 1000), "America/New_York").first < 24


def test_a_day_may_begin_at_five():
    """Hours after midnight belong to the day before: Saturday's night is Sunday's first hours."""
    times = by_hour([*[1000] * 24, *[2000] * 24, *[3000] * 24], start_h=5)
    for day, hour, told in (
        (5, 1, 1000),
        (5, 12, 2000),
        (6, 3, 2000),
        (6, 12, 3000),
        (7, 3, 3000),
        (7, 9, 1000),
    ):
        assert times.travel_ms_at(at(day, hour), "UTC").tolist() == [told], (day, hour)


def test_closed_arcs_are_closed_as_long_as_either_slot_closes_them():
    values = [1000] * 72
    values[10] = UNREACHABLE_MS
    times = by_hour(values)
    told = [times.travel_ms_at(at(1, 9 + q // 4, q % 4 * 15), "UTC")[0] for q in range(12)]
    assert told == [1000] * 2 + [UNREACHABLE_MS] * 8 + [1000] * 2


def test_a_closed_slot_of_no_weight_closes_nothing():
    """Steps as long as slots take the times of one slot: the next one, closed, has no say."""
    values = [1000] * 72
    values[9] = UNREACHABLE_MS
    times = by_hour(values, step_min=60)
    told = [times.travel_ms_at(at(1, hour, 10), "UTC")[0] for hour in (7, 8, 9, 10)]
    assert told == [1000, 1000, UNREACHABLE_MS, 1000]


def test_the_callers_travel_times_are_copied():
    mine = np.full((3, 1), 1000, np.int32)
    times = TimeOfDay([0, 1, 2], [0, 0, 0], mine)
    mine[:] = -5
    assert times.travel_ms.tolist() == [[1000]] * 3


def test_one_slot_a_day_is_noon():
    times = TimeOfDay([0, 1, 2], [0, 0, 0], np.array([[1000], [2000], [1000]]), step_min=1440)
    assert [times.travel_ms_at(at(day, 8), "UTC")[0] for day in range(7)] == [1000] * 5 + [2000, 1000]
    fine = replace(times, step_min=2)
    assert fine.travel_ms_at(at(4, 23, 59), "UTC")[0] == pytest.approx(1500, abs=2)


@st.composite
def weeks(draw):
    kinds, starts = [], []
    early = draw(st.integers(0, 600))
    for kind in range(3):
        some = draw(st.lists(st.integers(0, 1439), min_size=1, max_size=5, unique=True))
        kinds += [kind] * len(some)
        starts += sorted(early + one for one in some)
    values = draw(
        st.lists(
            st.one_of(st.integers(0, 2**29 - 1), st.just(UNREACHABLE_MS)),
            min_size=len(kinds),
            max_size=len(kinds),
        )
    )
    return kinds, starts, values


@given(
    week=weeks(),
    minute=st.integers(0, WEEK - 1),
    step=st.sampled_from([1, 2, 5, 15, 60, 1440]),
)
@settings(max_examples=150, deadline=None)
def test_any_slots_agree_with_plain_python(week, minute, step):
    kinds, starts, values = week
    columns = (np.array(kinds), np.array(starts), np.array(values)[:, None], step)
    times = TimeOfDay(*columns)
    told = times.travel_ms_at(round(MONDAY.timestamp() * 1000) + minute * 60_000, "UTC")
    middle = minute // step * step + Fraction(step, 2)
    assert told.dtype == np.int32
    assert told.tolist() == [naive_ms(kinds, starts, values, middle)]


def test_equal_hours_of_different_weekdays_share_a_blend():
    times = by_hour(range(72))
    blends = {times.blend_at(at(day, 10, 5), "UTC") for day in range(1, 4)}
    assert len(blends) == 1
    day = {times.blend_at(at(2, q // 60, q % 60), "UTC") for q in range(DAY)}
    assert len(day) == DAY // 15


GOOD = {
    "slot_kind": [0, 0, 1, 2],
    "slot_start_min": [0, 720, 0, 0],
    "travel_ms": np.full((4, 3), 1000),
}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"slot_kind": [0, 0, 1, 1]}, "slot_kind holds no 2: give every kind of day a slot, a sunday too"),
        ({"slot_kind": [0, 0, 1, 2, 2]}, r"slot_start_min is int64 of shape \(4,\)"),
        ({"slot_kind": [-1, 0, 1, 2]}, r"slot_kind\[0\] is -1: it must be a row of"),
        ({"slot_kind": [256, 256, 257, 258]}, r"slot_kind\[0\] is 256: it must be a row of"),
        ({"slot_kind": [0, 0, 1, 3]}, r"slot_kind\[3\] is 3: "),
        ({"slot_start_min": [2**32, 720, 0, 0]}, r"slot_start_min\[0\] is 4294967296: it must be from 0"),
        ({"slot_start_min": [0, -1, 0, 0]}, r"slot_start_min\[1\] is -1: it must be from 0 to 2879"),
        ({"slot_start_min": [0, 720, 0, 2880]}, r"slot_start_min\[3\] is 2880: "),
        ({"slot_start_min": [720, 0, 0, 0]}, r"slot_start_min\[0\] is 720: slots must be sorted"),
        ({"slot_start_min": [0, 0, 0, 0]}, r"slot_start_min\[0\] is 0: slots must be sorted"),
        ({"slot_start_min": [0, 1440, 0, 0]}, r"slot_start_min\[1\] is 1440: "),
        ({"slot_start_min": [0.5, 720, 0, 0]}, "slot_start_min is float64"),
        ({"travel_ms": np.full((3, 3), 1)}, r"travel_ms is int64 of shape \(3, 3\)"),
        ({"travel_ms": np.full((4, 3), 1.0)}, "travel_ms is float64"),
        ({"travel_ms": np.arange(-4, 8).reshape(4, 3)}, r"travel_ms\[0, 0\] is -4: it must be from 0"),
        ({"travel_ms": np.full((4, 3), 2**30)}, r"travel_ms\[0, 0\] is 1073741824"),
        ({"step_min": 7}, "step_min is 7: it must be a whole number of minutes that divides"),
        ({"step_min": 0}, "step_min is 0"),
        ({"step_min": 2.5}, "step_min is 2.5"),
    ],
)
def test_wrong_slots_are_refused(wrong, said):
    TimeOfDay(**GOOD)
    with pytest.raises(InputError, match=said):
        TimeOfDay(**{**GOOD, **wrong})


# --- metrics ---------------------------------------------------------------------------------------


def counting(times, **options):
    made = []

    def make(travel_ms):
        made.append(travel_ms.tolist())
        return tuple(travel_ms.tolist())

    return MetricsByTime(times, "UTC", make, **options), made


def test_a_metric_is_made_once_a_step_and_the_last_few_are_kept():
    times = by_hour(range(0, 72_000, 1000))
    metrics, made = counting(times, num_kept=2)
    assert isinstance(metrics, ByTime)
    first = metrics.at(at(1, 10))
    assert metrics.at(at(1, 10, 14, 59)) is first
    assert metrics.at(at(2, 10)) is first  # another weekday, the same hour
    metrics.at(at(1, 10, 15))
    assert len(made) == 2
    assert metrics.at(at(1, 10)) is first
    metrics.at(at(1, 10, 30))  # the first one is forgotten
    assert metrics.at(at(1, 10)) == first
    assert len(made) == 4
    one, made = counting(times, num_kept=1)
    for hour in (1, 1, 2, 2, 1):
        one.at(at(1, hour))
    assert len(made) == 3


def test_a_factory_that_fails_leaves_the_metrics_as_they_were():
    times, fail = by_hour(range(72)), [True]

    def make(travel_ms):
        if fail[0]:
            raise RuntimeError("no memory")
        return travel_ms.copy()

    metrics = MetricsByTime(times, "UTC", make)
    with pytest.raises(RuntimeError, match="no memory"):
        metrics.at(at(1, 10))
    fail[0] = False
    assert metrics.at(at(1, 10)).tolist() == times.travel_ms_at(at(1, 10), "UTC").tolist()


def test_many_threads_get_one_metric_each_step():
    times = by_hour(range(0, 72_000, 1000))
    slow, started = threading.Event(), threading.Event()
    made = []

    def make(travel_ms):
        made.append(int(travel_ms[0]))
        started.set()
        slow.wait(10)
        return travel_ms.copy()

    metrics = MetricsByTime(times, "UTC", make)
    slow.set()
    kept = metrics.at(at(1, 9))
    slow.clear()
    started.clear()
    got = []
    threads = [threading.Thread(target=lambda: got.append(metrics.at(at(1, 12)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert started.wait(10)
    assert metrics.at(at(1, 9)) is kept  # nobody waits for a metric that another one asks for
    slow.set()
    for thread in threads:
        thread.join()
    assert len(made) == 2
    assert all(one is got[0] for one in got)


def test_wrong_metrics_are_refused():
    with pytest.raises(InputError, match="num_kept is 0"):
        MetricsByTime(by_hour(range(72)), "UTC", tuple, num_kept=0)
    with pytest.raises(InputError, match="timezone is 'Mars'"):
        MetricsByTime(by_hour(range(72)), "Mars", tuple)


# --- reading ---------------------------------------------------------------------------------------

HOURS = [f"{prefix}_{hour:02d}_s" for prefix in ("week", "sat", "sun") for hour in range(24)]


def hourly_square(folder, seconds, **more):
    """The block of :mod:`roads.small_city`, each edge with the same seconds in every hour."""
    nodes, edges = square()
    edges |= {name: list(seconds) for name in HOURS}
    return city_of(folder, nodes, edges | more)


def test_each_arc_gets_the_times_of_its_own_edge(tmp_path):
    seconds = [10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0]
    city = hourly_square(tmp_path / "block", seconds)
    times = load_time_of_day(tmp_path / "block")
    assert times.travel_ms.shape == (72, 8)
    _, edges = square()
    node = {70: 0, 5: 1, 900: 2, 12: 3}
    of = {
        (node[tail], node[head]): 1000 * s
        for tail, head, s in zip(edges["from_node"], edges["to_node"], seconds, strict=True)
    }
    pairs = zip(city.graph.tail.tolist(), city.graph.head.tolist(), strict=True)
    assert times.travel_ms[0].tolist() == [of[pair] for pair in pairs]


def test_impossible_times_become_those_of_the_highest_speed(tmp_path):
    seconds = [0.0, -5.0, float("nan"), 3.5, 3.7, float("inf"), 1e9, 20.0]
    hourly_square(tmp_path / "block", seconds)
    fast_ms = 3600  # 100 m at 100 km/h
    told = sorted(load_time_of_day(tmp_path / "block").travel_ms[5].tolist())
    assert told == [fast_ms] * 4 + [3700, 20_000, UNREACHABLE_MS - 1, UNREACHABLE_MS]
    assert load_time_of_day(tmp_path / "block", max_kph=50.0).travel_ms.min() == 7200


def test_parallel_and_left_out_edges_keep_their_times(tmp_path):
    """A second edge between two nodes, one at an unknown node, one without a way back."""
    nodes, edges = square()
    nodes = {name: [*column, column[0]] for name, column in nodes.items()}
    nodes["node_id"][-1] = 33
    more = [(70, 5), (70, 4444), (70, 33)]
    edges["from_node"] = [one for one, _ in more] + edges["from_node"]
    edges["to_node"] = [two for _, two in more] + edges["to_node"]
    edges["length_m"] = [250.0, 100.0, 100.0, *edges["length_m"]]
    del edges["speed_kph"], edges["road_class"]
    edges |= {name: [90.0, 91.0, 92.0, *range(10, 18)] for name in HOURS}
    city = city_of(tmp_path / "block", nodes, edges)
    times = load_time_of_day(tmp_path / "block")
    both = np.flatnonzero((city.graph.tail == 0) & (city.graph.head == 1))
    assert times.travel_ms[0, both].tolist() == [90_000, 10_000]
    assert city.graph.length_m[both].tolist() == [250.0, 100.0]
    assert sorted(times.travel_ms[0].tolist()) == [*range(10_000, 18_000, 1000), 90_000]
    edges["length_m"][0] = -1.0
    write(tmp_path / "block", "edges", edges)
    with pytest.raises(InputError, match="of parallel edges some were left out"):
        load_time_of_day(tmp_path / "block")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"day_starts_h": 24}, "day_starts_h is 24"),
        ({"day_starts_h": 1.5}, "day_starts_h is 1.5"),
        ({"max_kph": 0.0}, "max_kph is 0.0"),
        ({"max_kph": float("nan")}, "max_kph is nan"),
        ({"step_min": 11}, "step_min is 11"),
    ],
)
def test_wrong_options_of_reading(tmp_path, options, said):
    hourly_square(tmp_path / "block", [10.0] * 8)
    with pytest.raises(InputError, match=said):
        load_time_of_day(tmp_path / "block", **options)


def test_missing_hours_are_told(tmp_path):
    nodes, edges = square()
    city_of(tmp_path / "block", nodes, edges | {name: [9.0] * 8 for name in HOURS[:-2]})
    with pytest.raises(InputError, match=r"2 columns .* are missing, the first is 'sun_22_s'"):
        load_time_of_day(tmp_path / "block")


def test_manhattan_is_fast_at_night_and_slow_at_noon(data):
    folder = data / "manhattan_hourly"
    city = City.load(folder)
    times = load_time_of_day(folder, day_starts_h=5)
    assert times.num_arcs == city.graph.num_arcs
    assert DAY_KINDS[times.slot_kind[24]] == "saturday"
    zone = "America/New_York"
    total_h = [times.travel_ms_at(at(2, hour, zone=zone), zone).sum() / 3.6e6 for hour in range(24)]
    assert int(np.argmin(total_h)) in (4, 5)
    assert int(np.argmax(total_h)) in range(9, 18)
    assert max(total_h) > 1.5 * min(total_h)
    # Saturday's night, Sunday 1:00, is busier than that of Sunday.
    nights = [times.travel_ms_at(at(day, 1, zone=zone), zone).sum() for day in (6, 7)]
    assert nights[0] > 1.1 * nights[1]
    least_ms = np.rint(city.graph.length_m * 36)
    assert (times.travel_ms >= least_ms - 1).all()
    metrics = MetricsByTime(times, zone, city.network.customize)
    rng = np.random.default_rng(0)
    ends = rng.integers(0, city.graph.num_nodes, (2, 100)).astype(np.int32)
    ends[1] = ends[1, rng.integers(0, 10, 100)]
    slow, fast = (metrics.at(at(2, hour, zone=zone)).pairs_ms(*ends).sum() for hour in (10, 4))
    assert slow > 1.4 * fast
