"""How drivers feel about a day."""

import numpy as np
import pytest

from dispatch.analysis.driver_table import DriverTable
from dispatch.sim.driver_moods import CAUSES, CHANCE_OF_CAUSE, driver_moods

HOUR_MS = 3_600_000
NUM = 4_000
GOOD = {
    "online_ms": 8 * HOUR_MS,
    "occupied_ms": 4 * HOUR_MS,
    "trip_m": 60_000,
    "pickup_m": 20_000,
    "income_cents": 20_000,
}


def day_of(num=NUM, **changes):
    """A day of drivers who are alike, but for the columns told."""
    told = {name: np.zeros(num, np.int64) for name in DriverTable.__dataclass_fields__}
    told["driver_id"] = np.arange(1, num + 1)
    for name, value in (GOOD | changes).items():
        told[name] = np.broadcast_to(np.int64(value), num).copy()
    return DriverTable(**told)


def test_a_good_day_leaves_few_dissatisfied():
    moods = driver_moods(day_of(), seed=3, day=0)
    assert len(moods.driver_id) == NUM
    assert abs(moods.is_bad.mean() - CHANCE_OF_CAUSE[-1]) < 0.02
    assert set(moods.cause.tolist()) == {-1, CAUSES.index("anything")}
    same = driver_moods(day_of(), seed=3, day=0)
    assert (same.cause == moods.cause).all(), "the same people feel the same"
    assert (driver_moods(day_of(), seed=3, day=1).cause != moods.cause).any()


@pytest.mark.parametrize(
    ("cause", "changes"),
    [
        ("poor_income", {"income_cents": np.where(np.arange(NUM) % 4, 20_000, 9_000)}),
        ("long_idle", {"occupied_ms": np.where(np.arange(NUM) % 4, 4, 1) * HOUR_MS}),
        ("empty_driving", {"cruising_m": np.where(np.arange(NUM) % 4, 0, 70_000)}),
    ],
)
def test_each_cause_strikes_whom_it_meets_and_nobody_else(cause, changes):
    moods = driver_moods(day_of(**changes), seed=5, day=2)
    hit = np.arange(NUM) % 4 == 0
    assert abs((moods.cause[hit] == CAUSES.index(cause)).mean() - CHANCE_OF_CAUSE[CAUSES.index(cause)]) < 0.05
    assert not (moods.cause[~hit] == CAUSES.index(cause)).any()
    assert moods.is_bad[hit].mean() > moods.is_bad[~hit].mean() + 0.1


def test_only_who_was_online_for_an_hour_is_asked():
    moods = driver_moods(day_of(3, online_ms=np.array([HOUR_MS - 1, HOUR_MS, 0])), seed=1, day=0)
    assert moods.driver_id.tolist() == [2]
    nobody = driver_moods(day_of(0), seed=1, day=0)
    assert len(nobody.driver_id) == len(nobody.is_bad) == 0
