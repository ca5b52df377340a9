"""What simulated drivers decide when they are free, and how they set out.

A turn leaves behind what its driver still has to decide (``todo``); ``settle`` decides it, step by step. Each
function has one caller: numba compiles a function into all places that call it.
"""

import numpy as np

from dispatch.kernels import happenings as told
from dispatch.kernels.cruising import next_move
from dispatch.kernels.jit import kernel
from dispatch.kernels.random_streams import normal, uniform
from dispatch.kernels.sim_legs import find_way, keep_way, lasts_ms
from dispatch.kernels.sim_state import (
    ACCEPTED,
    BE_IDLE,
    BREAK,
    CRUISING,
    DECIDED,
    EVENTS_MADE,
    GIVE_UP,
    GIVE_UP_TIME,
    HOME,
    HOME_NODE,
    MOVE,
    MOVE_LUCK,
    NEVER,
    OFF,
    PARKED,
    PICKUP_LUCK,
    SET_OUT,
    TO_PICKUP,
    TO_STATION,
    TRIP_LUCK,
    TRIP_OVER,
    WIND_DOWN,
)
from dispatch.units import NO_INDEX, NO_VALUE

MS_PER_HOUR = 3_600_000
DRAWS_PER_MOVE = 8
"""Numbers drawn for one decision of an idle driver."""
LEAST_STAY_MS = 60_000


@kernel()
def emit(out, kind, at_ms, order_id, driver_id, leg_m, node):
    """Note an event to be told to the dispatcher: of an order and a driver, ``NO_VALUE`` for none."""
    i = out.num[EVENTS_MADE]
    event = out.events[i]
    event["kind"], event["at_ms"] = kind, at_ms
    event["order_id"], event["driver_id"] = order_id, driver_id
    event["leg_m"] = leg_m
    out.node[i] = node
    out.num[EVENTS_MADE] = i + 1


@kernel()
def drive(driver, metres):
    """Count the metres of a leg that is told, whole ones as the log does; give them."""
    whole = np.int64(np.rint(metres))
    driver["driven_m"] += whole
    if driver["is_electric"]:
        driver["battery_m"] -= metres
    return whole


@kernel()
def tell_cruising(out, driver, driver_id, at_ms):
    """Tell the metres cruised so far, if any; the driver stands at its node."""
    if driver["untold_m"] > 0:
        emit(out, told.CRUISING_LEG, at_ms, NO_VALUE, driver_id, driver["untold_m"], driver["node"])
        driver["untold_m"] = 0


@kernel()
def plan_way(driver, to, phase):
    """Let a driver set out to a node, in some phase, once the turn is over."""
    driver["target"], driver["next_phase"], driver["todo"] = to, phase, SET_OUT


@kernel()
def keep_shift(driver, shifts, at_ms):
    """Let a driver who worked into its next shift go on with that one."""
    while (
        at_ms >= driver["shift_end_ms"]
        and driver["shift"] + 1 < driver["end_shift"]
        and shifts.start_at_ms[driver["shift"] + 1] <= at_ms
    ):
        driver["shift"] += 1
        driver["shift_end_ms"] = shifts.end_at_ms[driver["shift"]]


@kernel(inline=True)
def _leaves(driver, params, row, at_ms):
    """Tell whether a driver goes home after a trip: its shift is over, or nearly."""
    left_ms = driver["shift_end_ms"] - at_ms
    if left_ms <= 0 or left_ms >= params["wind_down_ms"]:
        return left_ms <= 0
    return uniform(params["seed"], WIND_DOWN, row, at_ms) < params["wind_down_share"]


@kernel(inline=True)
def _end_shift(driver, shifts, at_ms):
    """Put a driver down for its next shift."""
    driver["phase"], driver["due_at_ms"] = OFF, NEVER
    driver["shift"] += 1
    if driver["shift"] < driver["end_shift"]:
        driver["due_at_ms"] = max(shifts.start_at_ms[driver["shift"]], at_ms)


@kernel(inline=True)
def _after_trip(day, driver, row, at_ms):
    """Decide what a driver does who has just become idle: end the shift, rest, charge, or go on."""
    params = day.params[0]
    keep_shift(driver, day.shifts, at_ms)
    left_ms = driver["shift_end_ms"] - at_ms
    rests = params["break_after_ms"] > 0 and at_ms - driver["working_since_ms"] >= params["break_after_ms"]
    driver["todo"] = DECIDED
    if _leaves(driver, params, row, at_ms):
        _end_shift(driver, day.shifts, at_ms)
    elif rests and left_ms > params["break_ms"]:
        driver["phase"], driver["due_at_ms"] = BREAK, at_ms + params["break_ms"]
    elif driver["is_electric"] and driver["battery_m"] < params["reserve_m"]:
        driver["station"] = day.stations.of_node[driver["node"]]
        driver["phase"] = OFF
        plan_way(driver, day.stations.node[driver["station"]], TO_STATION)
    else:
        driver["todo"] = BE_IDLE
        return
    emit(day.out, told.OFFLINE, at_ms, NO_VALUE, day.driver_id[row], 0, NO_INDEX)


@kernel(inline=True)
def _idle(day, driver, row, at_ms):
    """Let an idle driver stay, or move on, by how it cruises."""
    params = day.params[0]
    driver["todo"], driver["phase"] = DECIDED, PARKED
    driver["due_at_ms"] = max(driver["shift_end_ms"], at_ms)
    if not params["cruises"] or at_ms >= driver["shift_end_ms"]:
        return
    seed, occasion = params["seed"], np.int64(driver["num_moves"])
    driver["num_moves"] += 1
    hour = (at_ms + params["week_offset_ms"]) // MS_PER_HOUR % 24
    first = DRAWS_PER_MOVE * occasion
    target, stay_ms = next_move(
        day.cruise,
        hour,
        np.int64(driver["node"]),
        uniform(seed, MOVE, row, first),
        uniform(seed, MOVE, row, first + 1),
        uniform(seed, MOVE, row, first + 2),
        uniform(seed, MOVE, row, first + 3),
    )
    if target != NO_INDEX and uniform(seed, HOME, row, occasion) < params["home_share"]:
        target = _near_home(day.cruise, driver["home_node"], uniform(seed, HOME_NODE, row, occasion))
    goes_on = target != NO_INDEX and target != driver["node"]
    if driver["untold_m"] == 0:
        driver["cruising_since_ms"] = at_ms
    if not goes_on or at_ms - driver["cruising_since_ms"] >= params["cruising_told_ms"]:
        tell_cruising(day.out, driver, day.driver_id[row], at_ms)
        driver["cruising_since_ms"] = at_ms
    if goes_on:
        plan_way(driver, target, CRUISING)
    else:
        driver["due_at_ms"] = min(driver["due_at_ms"], at_ms + max(stay_ms, LEAST_STAY_MS))


@kernel(inline=True)
def _near_home(cruise, home, u):
    """Draw a node of the cell in which a driver is at home."""
    cell = cruise.cell_of_node[home]
    first, end = cruise.first_of_cell[cell], cruise.first_of_cell[cell + 1]
    return np.int64(cruise.node_of_cell[first + np.int64(u * (end - first))])


@kernel(inline=True)
def _takes_ms(day, driver, row, at_ms, free_ms):
    """Give how long the way takes on which a driver sets out; rides last as recorded where that is known."""
    params, phase = day.params[0], driver["next_phase"]
    stream, who, occasion = MOVE_LUCK, np.int64(row), np.int64(driver["num_moves"])
    recorded_ms = np.int64(NO_VALUE)
    if driver["order"] != NO_INDEX:
        order = day.orders[driver["order"]]
        stream, who, occasion = TRIP_LUCK, np.int64(order["origin"]), np.int64(0)
        if phase == TO_PICKUP:
            stream, occasion = PICKUP_LUCK, np.int64(order["attempt"]) << 32 | row
        else:
            recorded_ms = order["trip_ms"]
    if recorded_ms > 0:
        return recorded_ms
    if phase == CRUISING:
        return np.int64(free_ms * day.cruise.slowness)
    taken_ms = lasts_ms(day.weather, params, at_ms, free_ms, normal(params["seed"], stream, who, occasion))
    if stream == TRIP_LUCK:
        taken_ms += params["alighting_ms"]
    return taken_ms


@kernel(inline=True)
def _set_out(day, driver, row, at_ms):
    """Send a driver on its way; some give up an order before they arrive."""
    params, phase = day.params[0], driver["next_phase"]
    num, free_ms, metres = find_way(day.streets, params, driver["node"], driver["target"], day.scratch)
    takes_ms = _takes_ms(day, driver, row, at_ms, free_ms)
    driver["num_nodes"] = keep_way(num, day.scratch, row, day.legs)
    driver["leg_m"], driver["leg_ms"], driver["leg_start_ms"] = metres, takes_ms, at_ms
    driver["node"], driver["phase"], driver["todo"] = driver["target"], phase, DECIDED
    driver["due_at_ms"], driver["gives_up_at_ms"] = at_ms + takes_ms, NEVER
    if phase == TO_PICKUP:
        order = day.orders[driver["order"]]
        order["stage"], order["driver"] = ACCEPTED, row
        occasion = np.int64(order["attempt"]) << 32 | row
        if uniform(params["seed"], GIVE_UP, order["origin"], occasion) < params["give_up_share"]:
            share = uniform(params["seed"], GIVE_UP_TIME, order["origin"], occasion)
            driver["gives_up_at_ms"] = driver["due_at_ms"] = at_ms + np.int64(share * takes_ms)


@kernel()
def settle(day, driver, row, at_ms):
    """Decide what a driver still has to decide at this instant."""
    if driver["todo"] == TRIP_OVER:
        _after_trip(day, driver, row, at_ms)
    if driver["todo"] == BE_IDLE:
        _idle(day, driver, row, at_ms)
    if driver["todo"] == SET_OUT:
        _set_out(day, driver, row, at_ms)
