"""Rows of the simulator: numbers that stand for things, each once."""

import numpy as np
import pytest

from dispatch.kernels import sim_state
from dispatch.kernels.sim_legs import is_on_duty, is_under_way
from dispatch.units import INDEX_DTYPE

PHASES = {
    name: getattr(sim_state, name)
    for name in (
        "OFF", "PARKED", "CRUISING", "REPOSITIONING", "TO_PICKUP", "AT_DOOR", "BOARDING", "ON_TRIP", "BREAK",
        "TO_STATION", "CHARGING",
    )
}  # fmt: skip


@pytest.mark.parametrize(
    "names",
    [
        list(PHASES),
        ["FUTURE", "WAITING", "OFFERED", "ACCEPTED", "ARRIVED", "RIDING", "DONE"],
        ["NOTHING", "LOSES_PATIENCE", "FINDS_IT_FAR", "FINDS_IT_LATE", "ASKS_AGAIN"],
        ["DECIDED", "TRIP_OVER", "BE_IDLE", "SET_OUT"],
        ["ANSWER", "CUSTOMER", "DRIVER"],
    ],
    ids=["phases", "stages", "what customers do", "what drivers decide", "whose turn"],
)
def test_each_has_its_own_number_and_fits_its_column(names):
    numbers = [getattr(sim_state, name) for name in names]
    assert numbers == list(range(len(names)))
    assert max(numbers) <= np.iinfo(np.int8).max


def test_every_stream_has_its_own_number():
    streams = [
        "HAZARD", "IMPATIENT", "FAR", "LATE", "NO_SHOW", "RETRY", "RETRY_TIME", "ACCEPT", "ANSWER_TIME",
        "GIVE_UP", "GIVE_UP_TIME", "WIND_DOWN", "MOVE", "HOME", "HOME_NODE", "FOLLOW", "PICKUP_LUCK",
        "TRIP_LUCK", "MOVE_LUCK", "TIER", "CLASS", "FIRST_ORDER", "CUSTOMER_OF_ORDER", "PREBOOKED", "AHEAD",
        "CAR_CLASS", "ELECTRIC", "BATTERY", "PASSENGERS",
    ]  # fmt: skip
    assert sorted(getattr(sim_state, name) for name in streams) == list(range(len(streams)))


def test_who_is_on_duty_and_who_drives():
    """Breaks, and charging with the way to it, are off duty: the dispatcher does not see them."""
    on_duty = {name for name, phase in PHASES.items() if is_on_duty(phase)}
    assert set(PHASES) - on_duty == {"OFF", "BREAK", "TO_STATION", "CHARGING"}
    driving = {name for name in on_duty if is_under_way(PHASES[name])}
    assert driving == {"CRUISING", "REPOSITIONING", "TO_PICKUP", "ON_TRIP"}


def test_a_key_of_the_agenda_holds_every_row():
    rows = 2 ** (8 * np.dtype(INDEX_DTYPE).itemsize - 1)
    assert rows <= 1 << sim_state.KEY_BITS
    assert sim_state.DRIVER << sim_state.KEY_BITS < sim_state.NEVER


def test_rows_hold_what_never_comes():
    driver, order = np.zeros(1, sim_state.SIM_DRIVER)[0], np.zeros(1, sim_state.SIM_ORDER)[0]
    driver["due_at_ms"] = order["due_at_ms"] = sim_state.NEVER
    assert driver["due_at_ms"] == order["due_at_ms"] == sim_state.NEVER
