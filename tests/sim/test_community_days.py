"""Days of a community with the CRM behind them, and without."""

from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa

from dispatch.crm.crm import Crm
from dispatch.crm.tables import orders as of_orders, people as of_people, service
from dispatch.sim.community import CommunityParams
from dispatch.sim.community_days import FIRST_DAY, ORDERS_A_DAY, CommunityDays
from dispatch.sim.liaison import Liaison
from dispatch.sim.scenario_file import ScenarioFile
from dispatch.units import MS_PER_DAY

PARAMS = CommunityParams(
    days=3, customers=400, complain_share=0.5, answer_h=1.0, join_daily=0.02, terms_every_min=120.0
)
NUM_ORDERS, NUM_DRIVERS = 150, 12


@pytest.fixture(scope="module")
def make_day():
    file, cache = ScenarioFile({"day": {"drivers": NUM_DRIVERS}}), {}

    def make(day, num_orders):
        return file.with_values({"day.orders": num_orders}).build(seed=50 + day, city_cache=cache)

    return make


def days_of(make_day, params=PARAMS, liaison=None, seed=3):
    days = CommunityDays(make_day, params, seed, NUM_ORDERS, NUM_DRIVERS, liaison)
    days.run()
    return days


@pytest.fixture(scope="module")
def behind(make_day, tmp_path_factory):
    """Three days with the CRM behind them."""
    folder = tmp_path_factory.mktemp("community")
    with Crm.create(folder / "crm.db", keys=folder / "keys") as crm:
        yield days_of(make_day, liaison=Liaison(crm))


def count(crm, table, *where):
    with crm.context.database.reading() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table).where(*where)).scalar_one()


def test_the_crm_has_seen_all_that_happened(behind):
    crm, days = behind.liaison.crm, behind.days
    assert [day.day for day in days] == [0, 1, 2]
    assert behind.liaison.num_applied == sum(day.num_events for day in days)
    assert count(crm, of_orders.order_stage) == behind.liaison.num_applied
    assert count(crm, of_orders.orders) == sum(day.num_orders for day in days)
    assert count(crm, of_orders.trip) == sum(day.num_completed for day in days)
    assert count(crm, of_people.customer) == behind.community.num_customers
    assert count(crm, of_people.driver) == behind.community.next_driver_id - 1
    assert count(crm, service.rating) == sum(day.num_rated for day in days)
    assert count(crm, service.complaint) == sum(day.num_complaints for day in days)
    with crm.context.database.reading() as connection:
        named = connection.execute(sa.select(of_orders.orders.c.customer_id).distinct()).scalars().all()
        first = connection.execute(sa.select(sa.func.min(of_orders.orders.c.order_id))).scalar_one()
    assert set(named) <= set(range(1, behind.community.num_customers + 1))
    assert first < ORDERS_A_DAY


def test_customers_who_ordered_on_a_day_are_counted_once(behind):
    table = of_orders.orders
    with behind.liaison.crm.context.database.reading() as connection:
        rows = connection.execute(sa.select(table.c.order_id, table.c.customer_id)).all()
    for day in behind.days:
        who = [customer for order, customer in rows if order // ORDERS_A_DAY == day.day]
        assert len(who) == day.num_orders
        assert day.num_active == len(set(who)) < day.num_orders


def test_staff_decide_what_is_due(behind):
    crm = behind.liaison.crm
    resolved = count(crm, service.complaint, service.complaint.c.state == "resolved")
    filed_before = sum(day.num_complaints for day in behind.days[:-1])
    assert 0 < resolved <= filed_before
    assert count(crm, service.complaint, service.complaint.c.verdict == "upheld") > 0


def test_the_engine_is_told_of_people(behind):
    """Orders carry their priority, and every driver on the roster is eligible by papers and score."""
    crm, table = behind.liaison.crm, of_orders.order_priority
    assert count(crm, table) >= sum(day.num_orders for day in behind.days) * 0.8
    assert count(crm, table, table.c.prebooked_permille > 0) > 0
    terms = behind.liaison.driver_terms(
        behind.community.driver_id, (FIRST_DAY + PARAMS.days) * MS_PER_DAY + 7_200_000
    )
    assert terms.eligible.tolist() == [1] * NUM_DRIVERS


def test_the_community_is_the_same_each_time(make_day, behind, tmp_path):
    with Crm.create(tmp_path / "crm.db", keys=tmp_path / "keys") as crm:
        again = days_of(make_day, replace(PARAMS, days=2), Liaison(crm))
    for one, other in zip(again.days, behind.days, strict=False):
        assert one.kpis == other.kpis
        assert (one.num_orders, one.stars, one.num_bad, one.num_left, one.num_joined) == (
            other.num_orders,
            other.stars,
            other.num_bad,
            other.num_left,
            other.num_joined,
        )


def test_a_crm_that_only_watches_changes_no_decision(make_day, tmp_path):
    """Without priorities and scores the day is that of no CRM at all, event by event."""
    params = replace(PARAMS, days=1)
    with Crm.create(tmp_path / "crm.db", keys=tmp_path / "keys") as crm:
        watched = days_of(make_day, params, Liaison(crm, uses_tiers=False, uses_scores=False))
    alone = days_of(make_day, params)
    assert watched.days[0].kpis == alone.days[0].kpis
    assert watched.days[0].num_events == alone.days[0].num_events
    assert alone.days[0].crm_s == 0.0


def test_it_can_be_stopped_between_days(make_day):
    days = CommunityDays(make_day, PARAMS, 3, NUM_ORDERS, NUM_DRIVERS)
    seen = []
    days.run(seen.append, lambda: len(seen) >= 1)
    assert len(days.days) == len(seen) == 1
    days.run(seen.append, lambda: len(seen) >= 2)
    assert [day.day for day in seen] == [0, 1]


def test_a_day_has_its_own_instants_and_ids(make_day):
    days = CommunityDays(make_day, PARAMS, 3, NUM_ORDERS, NUM_DRIVERS)
    scenario = days._peopled(5, days._scenario(5))
    begin = (FIRST_DAY + 5) * MS_PER_DAY
    assert scenario.start_at_ms == begin
    assert begin <= scenario.orders.requested_at_ms.min()
    assert scenario.shifts.start_at_ms.min() >= begin
    assert set(np.unique(scenario.shifts.driver_id)) <= set(days.community.driver_id)
    assert (scenario.people.customer_id >= 1).all()


def test_what_customers_say_of_a_bad_day_keeps_new_ones_away(make_day):
    """Word of mouth: where everybody is dissatisfied, nobody new comes the next day; some leave at once."""
    joined, left = {}, {}
    for word_of_mouth in (0.0, 1.0):
        told = replace(PARAMS, days=2, unhappy_any=1.0, word_of_mouth=word_of_mouth, leave_daily=0.0)
        days = days_of(make_day, told).days
        joined[word_of_mouth] = [day.num_joined for day in days]
        left[word_of_mouth] = [day.num_left for day in days]
        assert all(day.num_bad == day.num_judged > 0 for day in days)
    usual = round(PARAMS.join_daily * PARAMS.customers)
    assert joined == {0.0: [usual, usual], 1.0: [usual, 0]}
    assert left[0.0][0] > 0, "and some of those who had it leave"
    content = replace(
        PARAMS, days=1, unhappy_any=0.0, unhappy_unserved=0.0, unhappy_late=0.0, leave_daily=0.0
    )
    content = replace(content, unhappy_long_wait=0.0, unhappy_driver=0.0)
    assert days_of(make_day, content).days[0].num_left == 0


def test_drivers_are_asked_how_the_day_was(behind):
    for day in behind.days:
        assert 0 < day.num_drivers_asked <= NUM_DRIVERS
        assert 0 <= day.num_drivers_bad <= day.num_drivers_asked
