"""Customers, one row at a time, against the same rules in plain Python."""

import math

import numpy as np
from hypothesis import given, settings, strategies as st

from dispatch.kernels import sim_state as s
from dispatch.kernels.random_streams import uniform
from dispatch.kernels.sim_customers import LOOKS_AT_ETA_MS, await_driver, end_order, judge_eta
from dispatch.units import NO_INDEX

SHARE = st.sampled_from([0.0, 0.3, 0.5, 1.0])
AT_MS = np.int64(1_700_000_000_000)
ORDERS = st.fixed_dictionaries(
    {
        "origin": st.integers(0, 1000),
        "attempt": st.integers(0, 3),
        "num_accepted": st.integers(0, 3),
        "wanted_at_ms": st.sampled_from([AT_MS - 60_000, AT_MS, AT_MS + 900_000]),
        "eta_ms": st.sampled_from([0, 599_999, 600_001, 1_500_000, 2_000_000]),
        "driver": st.integers(-1, 5),
    }
)


def row_of(dtype, **fields):
    rows = np.zeros(1, dtype)
    for name, value in fields.items():
        rows[0][name] = value
    return rows[0]


def params_of(**fields):
    common = {"seed": 5, "impatient_after_ms": 300_000, "far_eta_ms": 600_000, "late_after_ms": 120_000}
    return row_of(s.SIM_PARAMS, **common | fields)


@settings(max_examples=200)
@given(ORDERS, SHARE, st.sampled_from([0.0, 1e-6, 1e-5, 1e-12]))
def test_patience_ends_by_rate_or_all_at_once_whichever_comes_first(fields, share, hazard_per_ms):
    order, params = (
        row_of(s.SIM_ORDER, **fields),
        params_of(impatient_share=share, hazard_per_ms=hazard_per_ms),
    )
    await_driver(order, params, AT_MS)
    assert (order["stage"], order["driver"]) == (s.WAITING, NO_INDEX)
    name = fields["origin"], fields["attempt"] << 32 | fields["num_accepted"]
    since_ms, ends_ms = max(AT_MS, fields["wanted_at_ms"]), []
    if uniform(5, s.IMPATIENT, *name) < share:
        ends_ms.append(since_ms + 300_000)
    if hazard_per_ms:
        waits_ms = -math.log(uniform(5, s.HAZARD, *name)) / hazard_per_ms
        ends_ms += [since_ms + int(waits_ms) + 1] if waits_ms < 1e12 else []
    assert order["due"] == (s.LOSES_PATIENCE if ends_ms else s.NOTHING)
    if ends_ms:
        assert order["due_at_ms"] == min(ends_ms) > AT_MS


@settings(max_examples=200)
@given(ORDERS, SHARE, SHARE)
def test_a_far_eta_is_judged_at_once_a_late_car_when_it_is_late(fields, far_share, late_share):
    order, params = row_of(s.SIM_ORDER, **fields), params_of(far_share=far_share, late_share=late_share)
    order["due"] = s.LOSES_PATIENCE
    judge_eta(order, params, AT_MS)
    name = fields["origin"], fields["attempt"] << 32 | fields["num_accepted"]
    wanted_ms = max(AT_MS, fields["wanted_at_ms"])
    comes_ms = max(AT_MS + fields["eta_ms"], wanted_ms)
    if comes_ms - wanted_ms > 600_000 and uniform(5, s.FAR, *name) < far_share:
        assert (order["due"], order["due_at_ms"]) == (s.FINDS_IT_FAR, AT_MS + LOOKS_AT_ETA_MS)
    elif uniform(5, s.LATE, *name) < late_share:
        assert (order["due"], order["due_at_ms"]) == (s.FINDS_IT_LATE, comes_ms + 120_000)
    else:
        assert order["due"] == s.NOTHING, "who has a driver does not lose patience"


@settings(max_examples=200)
@given(ORDERS, SHARE, st.booleans(), st.integers(0, 3))
def test_an_order_ends_or_is_asked_again(fields, share, may_retry, max_retries):
    order = row_of(s.SIM_ORDER, **fields)
    params = params_of(retry_share=share, retry_after_ms=90_000.0, max_retries=max_retries)
    num = np.array([3, 4, 5, 6])
    end_order(order, params, num, AT_MS, may_retry)
    assert order["stage"] == s.DONE
    name = fields["origin"], fields["attempt"]
    if may_retry and fields["attempt"] < max_retries and uniform(5, s.RETRY, *name) < share:
        later_ms = int(-math.log(uniform(5, s.RETRY_TIME, *name)) * 90_000) + 1
        assert (order["due"], order["due_at_ms"]) == (s.ASKS_AGAIN, AT_MS + later_ms)
        assert num.tolist() == [3, 4, 5, 6], "the customer is not done"
    else:
        assert order["due"] == s.NOTHING
        assert num.tolist() == [3, 4, 5, 5]
