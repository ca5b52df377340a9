"""What is kept of a window's reasons, and how it reads."""

import json

import numpy as np
import pytest

from dispatch.engine.explanations import MOST_CANDIDATES, Asked, Explanations, Reasons, Weighing
from dispatch.errors import StateError
from dispatch.units import NO_VALUE

PLAIN = Weighing(1.0, 1.0, False, 1.0, False, False)


ORDINARY = Asked(0, False)


def reasons(order_id, num_candidates, chosen, now_ms=5, **told):
    """So many candidates for each order; drivers 0, 1, … of which those chosen go to their orders."""
    is_told, terms = told.get("is_told"), told.get("terms")
    num = len(order_id)
    first = np.cumsum([0, *num_candidates]).astype(np.int32)
    driver = np.concatenate([np.arange(n) for n in num_candidates]).astype(np.int64)
    given_to = np.full(first[-1], NO_VALUE, np.int64)
    for order, taken in zip(order_id, chosen, strict=True):
        if taken >= 0:
            given_to[driver == driver[taken]] = order
    if terms is None:
        terms = np.zeros((7, first[-1]), np.int32)
        terms[0] = 1000 * driver
    are_told = np.ones(num, bool) if is_told is None else np.array(is_told)
    return Reasons(
        now_ms,
        np.array(order_id),
        are_told,
        np.array(chosen, np.int32),
        [told.get("weighing", PLAIN)] * num,
        [told.get("asked", ORDINARY)] * num,
        first,
        np.array(terms, np.int32),
        driver,
        np.array(told.get("car_class", np.zeros(first[-1])), np.int32),
        given_to,
    )


def kept(*windows, most=10):
    explanations = Explanations()
    for window in windows:
        explanations.keep(window, most)
    return explanations


def test_of_each_order_the_latest_window_is_kept_and_of_the_oldest_orders_nothing():
    explanations = kept(
        reasons([1, 2, 3], [1, 1, 1], [0, -1, -1], now_ms=5),
        reasons([1], [1], [-1], now_ms=6),
        reasons([4], [1], [0], now_ms=7),
        most=3,
    )
    assert len(explanations) == 3
    assert [explanations.of(order) and explanations.of(order).at_ms for order in (1, 2, 3, 4)] == [
        6,
        None,
        5,
        7,
    ]


def test_a_window_larger_than_what_is_kept_leaves_its_last_orders():
    explanations = kept(reasons([1, 2, 3], [1, 1, 1], [0, -1, -1]), most=2)
    assert [explanations.of(order) is not None for order in (1, 2, 3)] == [False, True, True]


def test_orders_that_a_window_says_nothing_of_keep_what_was_said():
    explanations = kept(
        reasons([1], [2], [1], now_ms=5), reasons([1, 2], [1, 1], [0, -1], now_ms=6, is_told=[False, True])
    )
    assert (explanations.of(1).at_ms, explanations.of(2).at_ms) == (5, 6)


def test_the_cheapest_candidates_are_kept_and_the_one_chosen():
    num = MOST_CANDIDATES + 50
    told = kept(reasons([1], [num], [num - 1])).of(1)
    assert (told.num_considered, told.driver_id) == (num, num - 1)
    assert told.candidate_driver_id.tolist() == [*range(MOST_CANDIDATES), num - 1]
    assert told.cost.tolist() == [1000 * driver for driver in told.candidate_driver_id.tolist()]
    assert told.given_to.tolist() == [NO_VALUE] * MOST_CANDIDATES + [1]


def test_candidates_come_by_cost_not_by_eta():
    terms = [[10, 20, 30], [0, 0, 1], [9, 5, 0], [4, 1, 0], [6, 0, 0], [0, 0, 0], [0, 3, 0]]
    told = kept(reasons([1], [3], [1], terms=terms)).of(1)
    assert told.candidate_driver_id.tolist() == [0, 1, 2]
    told = kept(reasons([1], [3], [1], terms=[row[::-1] for row in terms])).of(1)
    assert told.candidate_driver_id.tolist() == [1, 2, 0]
    assert told.cost.tolist() == [29, 29, 31]


def some_explanation(**told):
    """Driver 1 serves order 7: 30 s away, 100 s in all; driver 0 is nearer, driver 2 free and farther."""
    of_weight = [0, 0, 0]
    terms = [[10, 30, 45], [0, 20, 0], [0, 15, 30], [0, 15, 40], [0, 10, 0], of_weight, [0, 10, 0]]
    terms = 1000 * np.array(terms)
    of_other = [[10_000], [0], [0], [0], [0], [0], [0]]
    window = reasons([6, 7], [1, 3], [0, 2], terms=np.hstack([of_other, terms]), **told)
    return kept(window).of(7)


def test_shares_are_those_of_the_cost_of_the_chosen_driver():
    told = some_explanation()
    shares = {"pickup": 0.3, "risk": 0.2, "quality": 0.15, "income": 0.15, "pair": 0.1}
    assert told.shares() == shares | {"weight": 0, "change": 0.1}
    free = kept(reasons([1], [1], [0])).of(1)
    assert (free.cost.tolist(), free.shares()["pickup"], sum(free.shares().values())) == ([0], 1, 1)
    nobody = kept(reasons([1], [1], [-1])).of(1)
    with pytest.raises(StateError, match="order 1 got no driver at 5: there is no cost to share out"):
        nobody.shares()


def test_it_reads():
    assert str(some_explanation()).splitlines() == [
        "order 7 at 5: weight 1 (1 by its tier)",
        "driver 1 is 30 s away, costs 100 s (30% pickup, 20% risk, 15% quality, 15% income, 10% pair, "
        "10% change); 3 considered",
        "driver 0 was 20 s nearer, 20 s cheaper by risk, 15 s cheaper by quality, 15 s cheaper by income, "
        "10 s cheaper by pair, 10 s cheaper by change and went to order 6",
    ]
    weighing = Weighing(10.0, 9.0, True, 1.5, True, False)
    assert "weight 10 (9 by its own priority, 1.50 times by its wait, capped)" in str(
        some_explanation(weighing=weighing)
    )
    assert "it has waited past the bound" in str(some_explanation(weighing=PLAIN._replace(is_starving=True)))
    assert str(kept(reasons([1], [2], [-1])).of(1)).splitlines()[1:] == [
        "no driver was chosen of 2 considered",
        "driver 0 was 0 s away and stayed free",
        "driver 1 was 1 s away and stayed free",
    ]
    assert str(kept(reasons([1], [9], [8])).of(1)).splitlines()[-1] == "and 3 more"
    assert str(kept(reasons([1], [0], [-1])).of(1)).splitlines()[1] == "no driver was chosen of 0 considered"


def test_an_upgrade_is_told_and_whether_it_was_the_order_s_right():
    def told(asked, chosen=1):
        return kept(reasons([7], [2], [chosen], asked=asked, car_class=[0, 2])).of(7)

    entitled = told(Asked(1, True))
    assert (entitled.is_upgraded, entitled.vehicle_class, entitled.may_upgrade) == (True, 1, True)
    assert entitled.car_class.tolist() == [0, 2]
    assert str(entitled).splitlines()[2] == (
        "the car is of class 2, the order asks for 1: an upgrade, to which it is entitled"
    )
    assert str(told(Asked(0, False))).splitlines()[2].endswith("asks for 0: an upgrade")
    for asked, chosen in ((Asked(2, True), 1), (Asked(0, True), 0), (Asked(0, True), -1)):
        assert not told(asked, chosen).is_upgraded
        assert "upgrade" not in str(told(asked, chosen))
        assert told(asked, chosen).to_dict()["is_upgraded"] is False


def test_a_dictionary_of_it_is_json_and_the_arrays_are_the_callers_own():
    explanations = kept(reasons([1, 2], [2, 0], [1, -1]))
    told = json.loads(json.dumps(explanations.of(1).to_dict()))
    assert (told["driver_id"], told["cost"], told["shares"]["pickup"]) == (1, [0, 1000], 1)
    assert told["candidate_driver_id"] == [0, 1]
    assert explanations.of(2).to_dict()["shares"] is None
    explanations.of(1).eta_ms[:] = 77
    assert explanations.of(1).eta_ms.tolist() == [0, 1000]
