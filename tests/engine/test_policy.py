"""Policies by name and by class, what they may hold, and how an own choice is checked."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cities import T0, assert_same_tables, new_orders, positions, tables_of
from dispatch.engine.lifecycle import OrderStatus as S
from dispatch.engine.params import DispatchParams
from dispatch.engine.policy import POLICIES, Policy, Window, largest_pickup_s, policy_named
from dispatch.errors import InputError
from engine.riding import LINE, line_dispatcher, named, offers

WRONG = [
    ("matching", "best", "matching is 'best': it must be one of batch, nearest"),
    (
        "chain_before_dropoff_s",
        -1,
        "chain_before_dropoff_s is -1: it must be a number from 0 to 3600 seconds",
    ),
    ("chain_before_dropoff_s", np.nan, "chain_before_dropoff_s is nan"),
    ("patient_base_s", 1e6, "patient_base_s is 1000000.0: it must be a number from 0 to 86400 seconds"),
    ("patient_slope", "3", "patient_slope is '3': it must be a number from 0 to 1000"),
    ("reassign_gain_s", True, "reassign_gain_s is True"),
    ("preposition_every_s", -1, "preposition_every_s is -1"),
    ("preposition_horizon_min", 0, "preposition_horizon_min is 0: it must be a number from 1 to 240 minutes"),
    ("priority_weights", [1.0], r"priority_weights is [1.0]: it must be a list of numbers"),
    ("priority_weights", (1.0, 0.0), "priority_weights[1] is 0.0: it must be a number from 0.001 to 1000"),
    ("starvation_s", np.inf, "starvation_s is inf"),
]


@pytest.mark.parametrize(("name", "value", "message"), WRONG)
def test_out_of_range(name, value, message):
    with pytest.raises(InputError) as raised:
        Policy(**{name: value})
    assert str(raised.value).startswith(message)


def test_policies_go_by_their_names():
    assert set(POLICIES) >= {
        "batch",
        "nearest",
        "lookahead",
        "patient",
        "reassign",
        "preposition",
        "priority",
    }
    for name, policy in POLICIES.items():
        assert (policy_named(name), policy.name) == (policy, name)
        assert DispatchParams(name).rules == DispatchParams(policy).rules == policy
        assert not policy.is_own


def test_parameters_of_a_named_policy_may_be_changed():
    changed = policy_named("lookahead", chain_before_dropoff_s=60.0)
    assert changed == Policy("lookahead", chain_before_dropoff_s=60.0)
    with pytest.raises(
        InputError, match="policy has no parameter 'chain': they are chain_before_dropoff_s, "
    ):
        policy_named("lookahead", chain=60.0)
    with pytest.raises(InputError, match="patient_slope is -1"):
        policy_named("patient", patient_slope=-1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("best", "policy is 'best': it must be one of batch, nearest, .*, or package.module:Class"),
        (None, "policy is None: it must be a name or package.module:Class"),
        ("no.such:Thing", r"policy is 'no.such:Thing': it cannot be imported \(No module named 'no'\)"),
        ("dispatch.units:Thing", "policy is 'dispatch.units:Thing': it cannot be imported"),
        (":Thing", "policy is ':Thing': it cannot be imported"),
        (".units:Thing", "policy is '.units:Thing': it cannot be imported"),
        ("dispatch.units:NO_INDEX", "policy is 'dispatch.units:NO_INDEX': it must be a class derived from"),
        ("dispatch.errors:InputError", "it must be a class derived from dispatch.Policy"),
    ],
)
def test_what_is_no_policy_is_refused(name, message):
    with pytest.raises(InputError, match=message):
        policy_named(name)


def test_an_own_class_goes_by_its_module(monkeypatch, tmp_path):
    (tmp_path / "house_policies.py").write_text(
        "from dataclasses import dataclass\n"
        "import numpy as np\n"
        "from dispatch.engine.policy import Policy\n\n\n"
        "@dataclass(frozen=True)\n"
        "class Nobody(Policy):\n"
        "    shyness: float = 1.0\n\n"
        "    def choose(self, window):\n"
        "        return np.full(len(window.order_id), -1)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    policy = policy_named("house_policies:Nobody", shyness=2.0, chain_before_dropoff_s=5.0)
    assert (policy.name, policy.shyness, policy.is_own) == ("Nobody", 2.0, True)
    assert policy.chain_before_dropoff_s == 5.0
    with pytest.raises(InputError, match=r"policy has no parameter 'boldness': they are .*, shyness"):
        policy_named("house_policies:Nobody", boldness=1)
    dispatcher = line_dispatcher("house_policies:Nobody")
    dispatcher.drivers_online(positions(LINE, [1], [5]))
    dispatcher.submit(new_orders(LINE, [7], [5], [9]))
    assert offers(dispatcher.step(T0)) == []


def test_a_policy_without_a_choice_of_its_own_says_so():
    with pytest.raises(InputError, match="the policy 'batch' has no choose of its own; subclass Policy"):
        POLICIES["batch"].choose(None)


@given(st.floats(0, 5000), st.floats(0, 3000), st.floats(1, 2000))
def test_patience_never_exceeds_the_largest_pickup(waited_s, base_s, max_pickup_s):
    told = largest_pickup_s(Policy(patient_base_s=base_s, patient_slope=0.5), max_pickup_s, waited_s)
    assert told == (max_pickup_s if not base_s else min(base_s + waited_s / 2, max_pickup_s))


# --- an own choice ---------------------------------------------------------------------------------


class Says(Policy):
    """Says what it was told to, and keeps what it was asked."""

    def choose(self, window):
        self.__dict__.setdefault("asked", []).append(window)
        return self.__dict__["answer"](window)


def asked(answer, num_drivers=3, **params):
    """A dispatcher with three orders at 5, 6 and 7, drivers at 4, 5, …; nothing was stepped."""
    policy = Says(name="own")
    policy.__dict__["answer"] = answer
    dispatcher = line_dispatcher(policy, **params)
    dispatcher.drivers_online(positions(LINE, range(1, num_drivers + 1), range(4, 4 + num_drivers)))
    dispatcher.submit(new_orders(LINE, [17, 18, 19], [5, 6, 7], [0, 0, 0], T0))
    return dispatcher, policy


def last_first(window: Window):
    """Each order takes the farthest candidate that is left."""
    chosen, taken = [], set()
    for order in range(len(window.order_id)):
        mine = range(window.first_candidate[order], window.first_candidate[order + 1])
        left = [row for row in mine if window.candidate_driver[row] not in taken]
        chosen.append(left[-1] if left else -1)
        taken |= {window.candidate_driver[row] for row in left[-1:]}
    return np.array(chosen)


def test_an_own_choice_is_offered():
    dispatcher, policy = asked(last_first)
    made = offers(dispatcher.step(T0 + 7))
    assert len(made) == 3
    (window,) = policy.asked
    assert (window.now_ms, window.num_drivers) == (T0 + 7, 3)
    assert (window.order_id.tolist(), window.driver_id.tolist()) == ([17, 18, 19], [1, 2, 3])
    assert (window.waited_ms.tolist(), window.tier.tolist()) == ([7] * 3, [0] * 3)
    assert window.first_candidate.tolist() == [0, 3, 6, 9]
    assert window.eta_ms[:3].tolist() == [0, 10_000, 10_000]
    by_order = {order: driver for order, driver, _, _ in made}
    assert by_order[17] == window.driver_id[window.candidate_driver[2]]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            lambda w: np.array([-1, -1]),
            r"choose of the policy 'own' gave int64 of shape \(2,\): it must give",
        ),
        (lambda w: np.zeros(3), r"choose of the policy 'own' gave float64 of shape \(3,\)"),
        (lambda w: np.zeros((3, 1), int), r"gave int64 of shape \(3, 1\)"),
        (lambda w: None, r"choose of the policy 'own' gave object of shape \(\)"),
        (lambda w: [3, -1, -1], "gave order 0 the candidate 3: its own are 0 to 2"),
        (lambda w: [-1, 2, -1], "gave order 1 the candidate 2: its own are 3 to 5"),
        (lambda w: [-1, -1, 9], "gave order 2 the candidate 9: its own are 6 to 8"),
        (lambda w: [-2, -1, -1], "gave order 0 the candidate -2"),
        (
            lambda w: [
                np.flatnonzero(w.candidate_driver[a : a + 3] == 0)[0] + a if a < 6 else -1 for a in (0, 3, 6)
            ],
            "choose of the policy 'own' gave a driver to two orders",
        ),
    ],
)
def test_a_choice_that_cannot_be_is_refused_and_nothing_is_offered(answer, message):
    dispatcher, policy = asked(answer)
    before = tables_of(dispatcher)
    with pytest.raises(InputError, match=message):
        dispatcher.step(T0)
    assert_same_tables(before, tables_of(dispatcher))
    policy.__dict__["answer"] = last_first
    assert len(offers(dispatcher.step(T0))) == 3


def test_an_order_left_out_is_asked_about_again_with_all_drivers():
    dispatcher, policy = asked(lambda w: np.full(3, -1), num_drivers=4, candidates_per_order=2)
    assert named(dispatcher.step(T0)).count("cars_shown") == 3
    assert [np.diff(window.first_candidate).tolist() for window in policy.asked] == [[2] * 3, [4] * 3]
    assert dispatcher.order_status([17, 18, 19]) == [S.OPEN] * 3


def test_an_own_choice_is_asked_about_open_orders_and_free_drivers_only():
    """Also where it would let orders change drivers, which only the engine's matching can weigh."""
    policy = Says(name="own", reassign_gain_s=30.0)
    policy.__dict__["answer"] = last_first
    dispatcher = line_dispatcher(policy)
    dispatcher.drivers_online(positions(LINE, [1, 2], [4, 9]))
    dispatcher.submit(new_orders(LINE, [7, 8], [9, 3], [0, 0]))
    dispatcher.assign([7], [1], T0)
    assert offers(dispatcher.step(T0)) == [(8, 2, 60, 60)]
    (window,) = policy.asked
    assert (window.order_id.tolist(), window.driver_id.tolist()) == ([8], [2])


def test_nobody_is_asked_about_no_orders():
    policy = Says(name="own")
    policy.__dict__["answer"] = last_first
    assert offers(line_dispatcher(policy).step(T0)) == []
    assert "asked" not in policy.__dict__
