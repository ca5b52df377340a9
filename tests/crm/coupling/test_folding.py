"""The fold by itself: what it gives does not hang on where a log is cut."""

import numpy as np
import pytest

from crm.random_logs import START_MS, random_log
from dispatch.crm.coupling.folding import ORDER_COLUMNS, Spell, check_own_ids, duties, fold, order_ids
from dispatch.engine.events import EventKind as Kind, make_events
from dispatch.errors import InputError
from dispatch.units import MS_PER_DAY, NO_VALUE

UNKNOWN = {"stage": 0, "num_offers": 0}


def unknown(num):
    return {name: np.full(num, UNKNOWN.get(name, NO_VALUE), np.int64) for name in ORDER_COLUMNS}


def fold_in_two(events, cut):
    """Fold a log cut in two; give the orders at the end and the sums of both parts."""
    orders, sums = {}, {}
    for part in (events[:cut], events[cut:]):
        ids = order_ids(part)
        known = unknown(len(ids))
        for row, order in enumerate(ids.tolist()):
            for name in ORDER_COLUMNS:
                if order in orders:
                    known[name][row] = orders[order][name]
        folded = fold(part, ids, known, 300_000)
        for row, order in enumerate(ids.tolist()):
            orders[order] = {name: int(folded.orders[name][row]) for name in ORDER_COLUMNS}
        for days in (folded.customer_days, folded.driver_days):
            who, amounts = next(iter(days)), list(days)[2:]
            for row in range(len(days[who])):
                for name in amounts:
                    key = (who, int(days[who][row]), int(days["day"][row]), name)
                    sums[key] = sums.get(key, 0) + int(days[name][row])
    return orders, {key: value for key, value in sums.items() if value}


@pytest.mark.parametrize("seed", range(4))
def test_where_a_log_is_cut_does_not_matter(seed):
    events = random_log(seed, num_events=250)
    whole = fold_in_two(events, 0)
    for cut in (1, 60, 125, 249):
        assert fold_in_two(events, cut) == whole


def test_no_events_make_no_rows():
    nothing = make_events(Kind.ORDER_SUBMITTED, 0)
    folded = fold(nothing, order_ids(nothing), unknown(0), 300_000)
    assert not len(folded.orders["order_id"])
    assert not len(folded.trips["order_id"])
    assert not len(folded.customer_days["customer_id"])
    assert not len(folded.ended)


def test_an_offer_that_is_made_twice_keeps_both_answers():
    log = make_events(Kind.ORDER_OFFERED, 4, order_id=1, driver_id=9, eta_ms=5)
    log["at_ms"] = [START_MS, START_MS + 5, START_MS + 9, START_MS + 12]
    log["kind"] = [Kind.ORDER_OFFERED, Kind.OFFER_EXPIRED, Kind.ORDER_OFFERED, Kind.OFFER_ACCEPTED]
    folded = fold(log, order_ids(log), unknown(1), 300_000)
    assert folded.offers["outcome"].tolist() == [Kind.OFFER_EXPIRED, Kind.OFFER_ACCEPTED]
    assert folded.offers["answered_at_ms"].tolist() == [START_MS + 5, START_MS + 12]
    assert not len(folded.answers["order_id"])
    later = fold(log[1:], order_ids(log[1:]), unknown(1), 300_000)
    assert later.answers["outcome"].tolist() == [Kind.OFFER_EXPIRED]


def test_a_spell_of_duty_counts_on_each_of_its_days():
    log = make_events(Kind.DRIVER_ONLINE, 3, driver_id=[1, 1, 2])
    log["kind"] = [Kind.DRIVER_ONLINE, Kind.DRIVER_OFFLINE, Kind.DRIVER_ONLINE]
    begin = 20_000 * MS_PER_DAY + 1000
    log["at_ms"] = [begin, begin + 2 * MS_PER_DAY, begin + 2 * MS_PER_DAY]
    sums, on_duty = duties(log, {7: Spell(5, 6, 1)}, 3)
    end = begin + 2 * MS_PER_DAY
    assert on_duty == {7: Spell(5, 6, 1), 2: Spell(end, end, 3)}
    assert sums["day"].tolist() == [20_000, 20_001, 20_002]
    assert sums["online_ms"].tolist() == [MS_PER_DAY - 1000, MS_PER_DAY, 1000]
    assert duties(log[:0], {}, 3) == ({}, {})


def test_a_spell_that_another_one_follows_ends_at_the_drivers_last_event():
    log = make_events(Kind.CRUISING_LEG, 6, driver_id=[1, 2, 1, 1, 3, 1])
    log["kind"][[3, 4]] = Kind.DRIVER_ONLINE
    log["at_ms"] = np.array([10, 20, 30, 50, 60, 70]) + START_MS
    before = {1: Spell(START_MS, START_MS, 1), 3: Spell(START_MS, START_MS + 40, 1), 2: Spell(START_MS, 5, 1)}
    sums, on_duty = duties(log, before, 2)
    assert dict(zip(sums["driver_id"].tolist(), sums["online_ms"].tolist(), strict=True)) == {1: 30, 3: 40}
    assert on_duty == {
        1: Spell(START_MS + 50, START_MS + 70, 2),
        2: Spell(START_MS, START_MS + 20, 2),  # by the log that tells of the driver now
        3: Spell(START_MS + 60, START_MS + 60, 2),
    }


def of_driver(*told):
    """Events of driver 7: kind and instant of each."""
    log = make_events(Kind.CRUISING_LEG, len(told), driver_id=7)
    log["kind"], log["at_ms"] = [kind for kind, _ in told], [START_MS + at for _, at in told]
    return log


ON, OFF, LEG = Kind.DRIVER_ONLINE, Kind.DRIVER_OFFLINE, Kind.CRUISING_LEG


@pytest.mark.parametrize("cut", range(5))
@pytest.mark.parametrize(
    ("behind", "left"),
    [
        ([(OFF, 15)], (20, 30, 1)),
        ([(OFF, 90)], (20, 30, 1)),
        ([(ON, 1), (LEG, 5), (OFF, 15)], (20, 30, 1)),
        ([(ON, 19), (OFF, 90)], (20, 30, 1)),
        ([(LEG, 25), (OFF, 40)], (20, 30, 1)),
        ([(LEG, 29), (LEG, 30)], (20, 30, 2)),
        ([(LEG, 35), (LEG, 50)], (20, 50, 2)),
    ],
)
def test_a_log_that_is_behind_ends_no_spell_of_another(behind, left, cut):
    before, log = {7: Spell(START_MS + 20, START_MS + 30, 1)}, of_driver(*behind)
    for part in (log[:cut], log[cut:]):
        sums, before = duties(part, before, 2)
        assert sums == {}
    online, last, stream = left
    assert before == {7: Spell(START_MS + online, START_MS + last, stream)}


@pytest.mark.parametrize("cut", range(4))
@pytest.mark.parametrize(
    ("log", "spells", "left"),
    [
        ([(LEG, 35), (OFF, 50)], 30, None),
        ([(ON, 20), (OFF, 50)], 30, None),
        ([(LEG, 40), (ON, 60), (LEG, 70)], 20, (60, 70, 2)),
        ([(OFF, 40), (ON, 60), (OFF, 65)], 15, None),
    ],
)
def test_a_log_that_goes_on_with_a_driver_ends_the_spell(log, spells, left, cut):
    before, sum_ms = {7: Spell(START_MS + 20, START_MS + 30, 1)}, 0
    told = of_driver(*log)
    for part in (told[:cut], told[cut:]):
        sums, before = duties(part, before, 2)
        sum_ms += sum(sums.get("online_ms", np.zeros(0)).tolist())
    assert sum_ms == spells
    online, last, stream = left or (0, 0, 0)
    assert before == ({7: Spell(START_MS + online, START_MS + last, stream)} if left else {})


def test_a_spell_of_no_log_that_is_known_ends_by_any():
    sums, on_duty = duties(of_driver((OFF, 40)), {7: Spell(START_MS + 20, START_MS + 20, None)}, 2)
    assert (sums["online_ms"].tolist(), on_duty) == ([20], {})


def test_an_id_whose_order_is_over_submits_no_other():
    kinds = [Kind.ORDER_SUBMITTED, Kind.ORDER_SUBMITTED, Kind.ORDER_CANCELLED, Kind.ORDER_SUBMITTED]
    log = make_events(Kind.ORDER_SUBMITTED, 4, order_id=[3, 5, 3, 5], customer_id=1, at_ms=START_MS)
    log["kind"] = kinds
    ids = order_ids(log)
    check_own_ids(log, ids, unknown(2), 0)  # an order that is open may change its engine
    check_own_ids(log[:0], ids[:0], unknown(0), 0)
    for over in (*(Kind.ORDER_CLOSED, Kind.ORDER_EXPIRED, Kind.DROPPED_OFF), Kind.ORDER_CANCELLED):
        log["order_id"], log["kind"][2] = [3, 5, 3, 3], over
        with pytest.raises(InputError, match=r"events\[13\].order_id is 3: .* give orders ids of their own"):
            check_own_ids(log, ids, unknown(2), 10)
    for name in ("ended_at_ms", "dropped_off_at_ms"):
        known = unknown(2)
        known[name][1] = START_MS
        with pytest.raises(InputError, match=r"events\[1\].order_id is 5"):
            check_own_ids(log, ids, known, 0)


def test_what_ended_stands_in_the_sequence_of_the_log():
    log = make_events(Kind.ORDER_CANCELLED, 3, order_id=[7, 2, 5], at_ms=START_MS)
    folded = fold(log, order_ids(log), unknown(3), 300_000)
    assert folded.orders["order_id"][folded.ended].tolist() == [7, 2, 5]
    assert folded.ended_place.tolist() == [0, 1, 2]
