"""Ratings: once an order and side, by who was there."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from crm.conftest import HOUR_MS, actor
from crm.engaged import add_customers
from crm.served import NOW_MS, add_drivers, add_finished, served_city, sums_of
from dispatch.crm.people.sealed_texts import open_text
from dispatch.crm.tables.service import rating
from dispatch.errors import AuthError, InputError, StateError


def test_each_side_rates_once(crm, scope_id):
    served_city(crm, scope_id)
    customer = crm.acting_as(actor("customer", own=("customer", 1)))
    driver = crm.acting_as(actor("driver", own=("driver", 101)))
    made = customer.ratings.rate(1001, "driver", 2, at_ms=NOW_MS, comment="smelled of Jo Doe")
    driver.ratings.rate(1001, "customer", 5, at_ms=NOW_MS)
    for who, about in ((customer, "driver"), (driver, "customer"), (crm, "driver")):
        with pytest.raises(StateError, match="already"):
            who.ratings.rate(1001, about, 5, at_ms=NOW_MS)
    for who, about, order in (
        (customer, "customer", 1001),
        (driver, "driver", 1001),
        (customer, "driver", 1002),
        (driver, "customer", 1002),
    ):
        with pytest.raises(AuthError):
            who.ratings.rate(order, about, 5, at_ms=NOW_MS)
    assert sums_of(crm, 101)["stars"] == 2
    told = driver.ratings.of_driver(101)
    assert (told.num, told.mean, told.by_stars) == (1, 2.0, (0, 1, 0, 0, 0))
    assert crm.ratings.of_driver(101, from_ms=NOW_MS + 1).mean is None
    assert customer.ratings.of_customer(1).mean == 5
    with pytest.raises(AuthError):
        driver.ratings.of_driver(102)
    with crm.context.database.reading() as connection:
        sealed = connection.execute(
            sa.select(rating.c.comment).where(rating.c.rating_id == made)
        ).scalar_one()
        assert b"Jo Doe" not in sealed
        column = rating.c.comment
        words = open_text(connection, crm.context.vault, ("customer", 1), column, made, sealed)
    assert words == "smelled of Jo Doe"


def test_what_cannot_be_rated(crm, scope_id):
    served_city(crm, scope_id, 1)
    add_finished(crm, scope_id, [(1, 1, 101)], dropped_off_at_ms=None)
    for order, about, stars, at_ms, rule in (
        (9999, "driver", 5, NOW_MS, "not known"),
        (1, "driver", 5, NOW_MS, "nobody was dropped off"),
        (1001, "merchant", 5, NOW_MS, "it has no merchant"),
        (1001, "driver", 5, NOW_MS - 2 * HOUR_MS - 1, "time goes backwards"),
        (1001, "driver", 0, NOW_MS, "stars"),
        (1001, "driver", 6, NOW_MS, "stars"),
        (1001, "driver", 4.5, NOW_MS, "stars"),
        (1001, "weather", 5, NOW_MS, "about"),
    ):
        with pytest.raises(InputError, match=rule):
            crm.ratings.rate(order, about, stars, at_ms=at_ms)
    assert sums_of(crm, 101)["ratings"] == 0


def test_many_ratings_or_none(crm, scope_id):
    num = 600
    add_customers(crm, scope_id, range(1, num + 1))
    add_drivers(crm, scope_id, range(101, 121))
    ids = list(range(5001, 5001 + num))
    add_finished(crm, scope_id, [(one, one - 5000, 101 + one % 20) for one in ids], merchant_id=7)
    stars = [1 + one % 5 for one in ids]
    at_ms = [NOW_MS] * num
    for bad_ids, bad_stars, error in (
        ([*ids[:-1], 9], stars, InputError),
        ([*ids[:-1], ids[0]], stars, StateError),
        (ids, [*stars[:-1], 6], InputError),
        (ids[:-1], stars, InputError),
    ):
        with pytest.raises(error):
            crm.ratings.rate_many("driver", bad_ids, bad_stars, at_ms=at_ms)
    assert crm.ratings.rate_many("driver", ids, stars, at_ms=at_ms) == num
    assert crm.ratings.rate_many("merchant", ids, stars, at_ms=at_ms) == num
    assert crm.ratings.rate_many("driver", [], [], at_ms=[]) == 0
    with pytest.raises(StateError, match="already"):
        crm.ratings.rate_many("driver", ids[:1], [5], at_ms=[NOW_MS])
    for driver in (101, 110):
        mine = [star for one, star in zip(ids, stars, strict=True) if 101 + one % 20 == driver]
        assert sums_of(crm, driver)["stars"] == sum(mine)
        assert crm.ratings.of_driver(driver).num == len(mine) == 30


def test_of_many_at_the_same_time_one_rating_counts(crm, scope_id):
    served_city(crm, scope_id, 1)

    def rate(stars):
        try:
            return crm.ratings.rate(1001, "driver", stars, at_ms=NOW_MS)
        except StateError:
            return None

    with ThreadPoolExecutor(8) as pool:
        made = [one for one in pool.map(rate, (1, 2, 3, 4, 5, 1, 2, 3)) if one is not None]
    assert len(made) == 1
    told = crm.ratings.of_driver(101)
    assert (told.num, sums_of(crm, 101)["ratings"], sums_of(crm, 101)["stars"]) == (1, 1, told.mean)
