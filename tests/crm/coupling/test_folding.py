"""The fold by itself: what it gives does not hang on where a log is cut."""

import numpy as np
import pytest

from crm.random_logs import START_MS, random_log
from dispatch.crm.coupling.folding import ORDER_COLUMNS, Spell, duties, fold, order_ids
from dispatch.engine.events import EventKind as Kind, make_events
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
        2: Spell(START_MS, START_MS + 20, 1),
        3: Spell(START_MS + 60, START_MS + 60, 2),
    }
    late = {1: Spell(START_MS + 60, START_MS + 60, 1)}  # by another log, that is ahead
    sums, on_duty = duties(log[:4], late, 2)
    assert (sums["online_ms"].tolist(), on_duty[1].online_at_ms) == ([0], START_MS + 50)


def test_what_ended_stands_in_the_sequence_of_the_log():
    log = make_events(Kind.ORDER_CANCELLED, 3, order_id=[7, 2, 5], at_ms=START_MS)
    folded = fold(log, order_ids(log), unknown(3), 300_000)
    assert folded.orders["order_id"][folded.ended].tolist() == [7, 2, 5]
    assert folded.ended_place.tolist() == [0, 1, 2]
