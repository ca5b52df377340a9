import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.kernels.overtaken import Requests, longest_overtaken
from dispatch.units import NO_VALUE
from naive.overtaken import longest_overtaken_in_plain_python

NEAR_M = 100.0


def requests_of(rows):
    """Orders as (submitted, wanted, until, tier, class, x, y)."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * 7
    dtypes = (np.int64, np.int64, np.int64, np.int8, np.int8, np.float64, np.float64)
    return Requests(*(np.array(column, dtype) for column, dtype in zip(columns, dtypes, strict=True)))


def found(rows, accepted):
    requests = requests_of(rows)
    until, wait = requests.until_at_ms, requests.until_at_ms - requests.submitted_at_ms
    taken = np.array([row for row in range(len(rows)) if accepted[row]], np.int64)
    taken = taken[np.argsort(until[taken], kind="stable")]
    return longest_overtaken(requests, taken, np.argsort(-wait, kind="stable"), NEAR_M)


ORDERS = st.tuples(
    st.integers(0, 30), st.integers(0, 10), st.integers(0, 40), st.integers(-1, 2), st.integers(0, 1)
)


@settings(max_examples=300, deadline=None)
@given(
    drawn=st.lists(st.tuples(ORDERS, st.sampled_from([0.0, 80.0, 150.0, 400.0]), st.booleans()), max_size=12)
)
def test_it_agrees_with_looking_at_every_pair(drawn):
    rows = [
        (submitted, submitted + later, submitted + wait, tier, vehicle_class, x, x / 2)
        for (submitted, later, wait, tier, vehicle_class), x, _ in drawn
    ]
    accepted = [one[2] for one in drawn]
    assert found(rows, accepted) == longest_overtaken_in_plain_python(rows, accepted, NEAR_M)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ((10, 10, 20, 1, 0, 50.0, 0.0), 80),
        ((10, 10, 20, 0, 0, 50.0, 0.0), NO_VALUE),  # of the same tier
        ((10, 10, 20, 1, 1, 50.0, 0.0), NO_VALUE),  # another class of car
        ((10, 10, 20, 1, 0, 200.0, 0.0), NO_VALUE),  # far away
        ((0, 0, 20, 1, 0, 50.0, 0.0), NO_VALUE),  # no later than the order
        ((10, 10, 100, 1, 0, 50.0, 0.0), NO_VALUE),  # not before the order
    ],
)
def test_what_overtakes_and_what_does_not(other, expected):
    assert found([(0, 0, 100, 0, 0, 0.0, 0.0), other], [True, True]) == expected
