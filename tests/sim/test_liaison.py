"""Between a community and the CRM."""

from dataclasses import replace
from importlib import resources

import numpy as np
import pytest
import sqlalchemy as sa

from dispatch.crm.crm import Crm
from dispatch.crm.tables import people as of_people
from dispatch.crm.tables.loyalty import redemption
from dispatch.engine.params import DispatchParams
from dispatch.engine.policy import policy_named
from dispatch.errors import InputError
from dispatch.sim.community import Community, CommunityParams
from dispatch.sim.community_days import FIRST_DAY
from dispatch.sim.liaison import Liaison
from dispatch.sim.people import People
from dispatch.sim.scenario import synthetic_scenario
from dispatch.sim.shifts import Shifts
from dispatch.units import MS_PER_DAY

BEGIN_MS = FIRST_DAY * MS_PER_DAY


@pytest.fixture
def liaison(tmp_path):
    with Crm.create(tmp_path / "crm.db", keys=tmp_path / "keys") as crm:
        yield Liaison(crm)


@pytest.fixture
def community():
    return Community.begin(CommunityParams(customers=60, referred_share=0.5), 5, seed=9)


def people_of(num):
    nothing = np.zeros(num, np.int64)
    return People(np.arange(num) % 50 + 1, nothing, nothing, nothing + 1000, nothing, nothing)


def test_everybody_is_entered_and_new_ones_may_be_referred(liaison, community):
    liaison.begin(community, BEGIN_MS)
    joined = community.join(40)
    liaison.customers_joined(community, joined, BEGIN_MS + MS_PER_DAY)
    with liaison.crm.context.database.reading() as connection:
        num = connection.execute(sa.select(sa.func.count()).select_from(of_people.customer)).scalar_one()
    assert num == 100
    won = [one for person in range(1, 61) for one in liaison.crm.referrals.won_by(person)]
    assert 10 <= len(won) <= 30
    shown = liaison.crm.customers.get(1, at_ms=BEGIN_MS + MS_PER_DAY)
    assert (shown.name, shown.phone) == ("Customer 1", "+14152000001")


def test_drivers_who_leave_are_no_longer_eligible(liaison, community):
    liaison.begin(community, BEGIN_MS)
    gone = np.array([2])
    liaison.drivers_changed(gone, community.replace_drivers(gone), BEGIN_MS + 1000)
    terms = liaison.driver_terms(np.array([1, 2, 6]), BEGIN_MS + 2000)
    assert terms.eligible.tolist() == [1, 0, 1]
    assert not liaison.poor_drivers(community.driver_id, 0.6, BEGIN_MS + 2000).any()


def test_who_holds_a_coupon_uses_it_on_the_first_order_of_the_day(liaison, community):
    from dispatch.crm.loyalty.coupons import grant_in

    liaison.begin(community, BEGIN_MS)
    crm = liaison.crm
    with crm.context.database.writing() as connection:
        grant_in(connection, crm.context, [7, 55], "win_back", 400, BEGIN_MS)
    day = synthetic_scenario(num_orders=100, num_drivers=5)
    at = day.orders.requested_at_ms + BEGIN_MS
    day = replace(day, start_at_ms=BEGIN_MS + 1000, orders=replace(day.orders, requested_at_ms=at + 1000))
    # Booked half a day ahead, each: the coupon is held until then, and as long as usual after it.
    day = replace(day, wanted_at_ms=at + MS_PER_DAY // 2)
    liaison.of_orders(day, people_of(100), 10_000)
    names = ("customer_id", "order_id", "discount_cents", "until_ms")
    with crm.context.database.reading() as connection:
        held = connection.execute(sa.select(*(redemption.c[name] for name in names))).all()
    assert [(row.customer_id, row.order_id) for row in held] == [(7, 10_006)]
    assert 0 < held[0].discount_cents <= 400
    assert held[0].until_ms == day.wanted_at_ms[6] + 2 * 3_600_000


def test_who_is_entitled_to_a_better_car_is_told_unless_tiers_are_off(liaison, community):
    liaison.begin(community, BEGIN_MS)
    liaison.crm.memberships.set_tier(7, "gold", at_ms=BEGIN_MS, reason="gift")
    day = replace(synthetic_scenario(num_orders=100, num_drivers=5), start_at_ms=BEGIN_MS + 1000)
    told = liaison.of_orders(day, people_of(100), 10_000)
    assert told.may_upgrade.tolist() == (told.customer_id == 7).astype(int).tolist()
    liaison.uses_tiers = False
    told = liaison.of_orders(day, people_of(100), 20_000)
    assert told.tier.any()
    assert not told.may_upgrade.any()


def test_where_the_rules_ask_for_shifts_the_day_s_are_on_the_roster(tmp_path, community):
    """A shift beyond midnight is one: the next day's begins where it ends."""
    packaged = resources.files("dispatch.crm") / "verticals" / "ride.toml"
    rules = tmp_path / "strict.toml"
    rules.write_text(packaged.read_text() + "\n[duty]\nneeds_shift = true\n")
    day = replace(synthetic_scenario(num_orders=100, num_drivers=5), start_at_ms=BEGIN_MS)

    def shifts(rows):
        who, begin, end = (np.array(column, np.int64) for column in zip(*rows, strict=True))
        times = (BEGIN_MS + begin * MS_PER_DAY // 24, BEGIN_MS + end * MS_PER_DAY // 24)
        return Shifts(who, *times, np.zeros(len(who), np.int32))

    with Crm.create(tmp_path / "strict.db", vertical=rules, keys=tmp_path / "strict.keys") as crm:
        liaison = Liaison(crm)
        liaison.begin(community, BEGIN_MS)
        told = replace(day, shifts=shifts([(1, 8, 12), (2, 20, 26)]))
        liaison.of_orders(told, people_of(100), 10_000)
        told = replace(day, shifts=shifts([(1, 30, 31), (2, 25, 30)]), start_at_ms=BEGIN_MS + MS_PER_DAY)
        liaison.of_orders(told, people_of(100), 20_000)
        found = crm.rosters.planned(BEGIN_MS, BEGIN_MS + 2 * MS_PER_DAY, scope_id=liaison.scope_id)
        hours = (np.stack([found.begin_at_ms, found.end_at_ms]) - BEGIN_MS) * 24 // MS_PER_DAY
        assert [found.driver_id.tolist(), *hours.tolist()] == [
            [1, 2, 2, 1],
            [8, 20, 26, 30],
            [12, 26, 30, 31],
        ]
        for hour, expected in ((7, [0, 0]), (8, [1, 0]), (25, [0, 1]), (29, [0, 1]), (30, [1, 0])):
            terms = liaison.driver_terms(np.array([1, 2]), BEGIN_MS + hour * MS_PER_DAY // 24)
            assert terms.eligible.tolist() == expected, hour


def test_the_engine_gets_the_published_rule_of_priority(liaison):
    told = liaison.engine_params(DispatchParams(policy=policy_named("lookahead")))
    vertical = liaison.crm.context.vertical
    assert told.rules.priority_weights == tuple(tier.weight for tier in vertical.tiers)
    assert told.rules.starvation_s == vertical.priority.starvation_s
    assert told.rules.chain_before_dropoff_s == policy_named("lookahead").chain_before_dropoff_s
    liaison.uses_tiers = False
    plain = DispatchParams()
    assert liaison.engine_params(plain) is plain
    liaison.uses_scores = False
    assert liaison.driver_terms(np.array([1]), BEGIN_MS) is None


@pytest.mark.parametrize("vertical", ["delivery", "fuel"])
def test_a_business_that_sells_no_rides_is_refused(tmp_path, vertical):
    with Crm.create(tmp_path / "crm.db", vertical) as crm:
        with pytest.raises(InputError, match=rf"vertical is '{vertical}': .* take ride"):
            Liaison(crm)
        assert crm.places() == []
