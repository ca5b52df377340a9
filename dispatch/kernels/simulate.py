"""A simulated day in windows: what happens until an instant, and what comes of the dispatcher's decisions.

``advance`` lets everything happen that is due, in the order of time, and notes it as events to be told to the
dispatcher; ``react`` reads what the dispatcher decided. The dispatcher itself is no part of it.
"""

import math

import numpy as np

from dispatch.kernels import happenings as told
from dispatch.kernels.agenda import put, take
from dispatch.kernels.event_log import LOG
from dispatch.kernels.jit import I32, I64, i64, kernel
from dispatch.kernels.random_streams import uniform
from dispatch.kernels.sim_customers import await_driver, end_order, judge_eta
from dispatch.kernels.sim_legs import find_way, stop_at
from dispatch.kernels.sim_moves import drive, emit, keep_shift, plan_way, settle, tell_cruising
from dispatch.kernels.sim_state import (
    ACCEPT,
    ACCEPTED,
    ANSWER,
    ANSWER_TIME,
    ARRIVED,
    ASKS_AGAIN,
    AT_DOOR,
    BE_IDLE,
    BOARDING,
    BREAK,
    CHARGING,
    CRUISING,
    CUSTOMER,
    DAY,
    DONE,
    DRIVER,
    EVENTS_MADE,
    FINDS_IT_FAR,
    FINDS_IT_LATE,
    FOLLOW,
    KEY_BITS,
    LOSES_PATIENCE,
    NEVER,
    NO_SHOW,
    NOTHING,
    OFF,
    OFFERED,
    ON_TRIP,
    ORDERS_KNOWN,
    PARKED,
    REPOSITIONING,
    RETRIES_MADE,
    RIDING,
    TO_PICKUP,
    TO_STATION,
    TRIP_OVER,
    UNFINISHED,
    WAITING,
)
from dispatch.units import NO_INDEX, NO_VALUE

ROOM_PER_TURN = 8
"""Events that one turn may make, at most."""
ALWAYS = 100.0
"""Log odds from which on a driver does not think."""
NOBODY = np.int64(NO_INDEX)
# The engine's own kinds of events; a test compares them with EventKind.
ORDER_OFFERED, OFFER_EXPIRED, ORDER_EXPIRED = 4, 7, 15
ORDER_RELEASED, ORDER_REASSIGNED, REPOSITION_ADVISED = 16, 17, 18


@kernel()
def _is_moving_idly(phase):
    """Tell whether a driver drives without an order."""
    return phase == CRUISING or phase == REPOSITIONING


@kernel()
def _leg_kind(phase):
    """Give the kind of event that tells a leg of this phase, if the leg ends anywhere but where it was to."""
    if phase == TO_PICKUP:
        return told.ABANDONED_LEG
    return told.REPOSITIONING_LEG if phase == REPOSITIONING else told.CRUISING_LEG


@kernel()
def _break_off(day, driver, row, at_ms):
    """End the leg of a driver where it is, and tell its metres."""
    kind = _leg_kind(driver["phase"])
    node, metres = stop_at(driver, day.legs, row, at_ms)
    whole = drive(driver, metres) + driver["untold_m"]
    driver["node"], driver["phase"], driver["untold_m"] = node, PARKED, 0
    emit(day.out, kind, at_ms, NO_VALUE, day.driver_id[row], whole, node)


@kernel()
def _free(driver):
    """Free a driver whose order is gone before the pickup; tell whether a leg is broken off.

    A driver with a passenger on board just drives on.
    """
    if driver["phase"] == ON_TRIP:
        driver["next_order"] = NO_INDEX
        return False
    driver["order"], driver["gives_up_at_ms"], driver["todo"] = NO_INDEX, NEVER, TRIP_OVER
    return driver["phase"] == TO_PICKUP


@kernel()
def _withdraw_offer(driver, at_ms):
    """Let a driver forget the offer that it thinks about, and go on with what is due."""
    driver["offered"], driver["answer_at_ms"] = NO_INDEX, NEVER
    due_ms = driver["due_at_ms"]
    driver["due_at_ms"] = at_ms if due_ms == NEVER else max(due_ms, at_ms)


# --- drivers ----------------------------------------------------------------------------------------


@kernel(inline=True)
def _come_on(day, driver, row, at_ms):
    """Take a driver on duty where it is."""
    if driver["phase"] == OFF:
        driver["node"] = day.shifts.node[driver["shift"]]
        driver["shift_end_ms"] = day.shifts.end_at_ms[driver["shift"]]
    elif driver["phase"] == CHARGING:
        driver["battery_m"] = day.params[0]["range_m"]
    driver["working_since_ms"], driver["phase"], driver["todo"] = at_ms, PARKED, TRIP_OVER
    emit(day.out, told.ONLINE, at_ms, NO_VALUE, day.driver_id[row], 0, driver["node"])


@kernel(inline=True)
def _charge(day, driver, row, at_ms):
    """Queue at a station and charge; the queue is first come, first served."""
    params, free_at_ms = day.params[0], day.stations.free_at_ms
    metres = drive(driver, driver["leg_m"])
    emit(day.out, told.CRUISING_LEG, at_ms, NO_VALUE, day.driver_id[row], metres, driver["node"])
    station, slot = np.int64(driver["station"]), 0
    for other in range(free_at_ms.shape[1]):
        if free_at_ms[station, other] < free_at_ms[station, slot]:
            slot = other
    missing = max(params["range_m"] - driver["battery_m"], 0.0) / params["range_m"]
    done_ms = max(at_ms, free_at_ms[station, slot]) + np.int64(missing * params["charge_ms"])
    free_at_ms[station, slot] = done_ms
    driver["phase"], driver["due_at_ms"] = CHARGING, done_ms


@kernel(inline=True)
def _arrive(day, driver, row, order_row, at_ms):
    """Arrive at a pickup, or give the order up on the way; tell whether a leg is broken off."""
    order, params = day.orders[order_row], day.params[0]
    if driver["gives_up_at_ms"] <= at_ms:
        emit(day.out, told.UNASSIGNED, at_ms, order_row, day.driver_id[row], 0, NO_INDEX)
        await_driver(order, params, at_ms)
        return _free(driver)
    metres = drive(driver, driver["leg_m"])
    emit(day.out, told.ARRIVED, at_ms, order_row, day.driver_id[row], metres, NO_INDEX)
    order["stage"], order["due"] = ARRIVED, NOTHING
    driver["phase"] = BOARDING
    driver["due_at_ms"] = max(at_ms, order["wanted_at_ms"]) + params["boarding_ms"]
    if uniform(params["seed"], NO_SHOW, order["origin"], order["attempt"]) < params["no_show_share"]:
        driver["phase"] = AT_DOOR
        driver["due_at_ms"] += params["no_show_wait_ms"] - params["boarding_ms"]
    return False


@kernel(inline=True)
def _drop_off(day, driver, row, order_row, at_ms):
    """Drop the passenger off, and go on to the next order if there is one."""
    metres = drive(driver, driver["leg_m"])
    emit(day.out, told.DROPPED_OFF, at_ms, order_row, day.driver_id[row], metres, NO_INDEX)
    emit(day.out, told.CLOSED, at_ms, order_row, NO_VALUE, 0, NO_INDEX)
    day.orders[order_row]["stage"] = DONE
    day.out.num[UNFINISHED] -= 1
    driver["order"], driver["next_order"] = driver["next_order"], NO_INDEX
    if driver["order"] != NO_INDEX:
        plan_way(driver, day.orders[driver["order"]]["pickup_node"], TO_PICKUP)
    elif driver["offered"] != NO_INDEX:
        driver["phase"], driver["due_at_ms"] = PARKED, driver["answer_at_ms"]
    else:
        driver["todo"] = TRIP_OVER


@kernel(inline=True)
def _idle_turn(day, driver, row, at_ms):
    """End a stay or a leg of a driver without an order."""
    if driver["phase"] == CRUISING:
        driver["untold_m"] += drive(driver, driver["leg_m"])
    elif driver["phase"] != PARKED:
        kind, metres = _leg_kind(driver["phase"]), drive(driver, driver["leg_m"])
        emit(day.out, kind, at_ms, NO_VALUE, day.driver_id[row], metres, driver["node"])
    driver["phase"] = PARKED
    keep_shift(driver, day.shifts, at_ms)
    if driver["offered"] != NO_INDEX:  # first the answer
        tell_cruising(day.out, driver, day.driver_id[row], at_ms)
        driver["due_at_ms"] = max(driver["answer_at_ms"], at_ms)
    else:
        is_low = driver["is_electric"] and driver["battery_m"] < day.params[0]["reserve_m"]
        driver["todo"] = TRIP_OVER if is_low or at_ms >= driver["shift_end_ms"] else BE_IDLE
        if driver["todo"] == TRIP_OVER:
            tell_cruising(day.out, driver, day.driver_id[row], at_ms)


@kernel(inline=True)
def _driver_turn(day, driver, row, at_ms):
    """End the phase of a driver; tell whether a leg is broken off."""
    phase, order_row = driver["phase"], np.int64(driver["order"])
    if phase == TO_PICKUP:
        return _arrive(day, driver, row, order_row, at_ms)
    if phase == BOARDING:
        emit(day.out, told.PICKED_UP, at_ms, order_row, day.driver_id[row], 0, NO_INDEX)
        day.orders[order_row]["stage"] = RIDING
        plan_way(driver, day.orders[order_row]["dropoff_node"], ON_TRIP)
    elif phase == ON_TRIP:
        _drop_off(day, driver, row, order_row, at_ms)
    elif phase == AT_DOOR:
        emit(day.out, told.CANCELLED, at_ms, order_row, day.driver_id[row], 0, NO_INDEX)
        end_order(day.orders[order_row], day.params[0], day.out.num, at_ms, False)
        _free(driver)
    elif phase == OFF or phase == BREAK or phase == CHARGING:
        _come_on(day, driver, row, at_ms)
    elif phase == TO_STATION:
        _charge(day, driver, row, at_ms)
    else:
        _idle_turn(day, driver, row, at_ms)
    return False


# --- answers ----------------------------------------------------------------------------------------


@kernel(inline=True)
def _wants(day, order, row):
    """Tell whether a driver accepts an order: by how far the pickup is, and what the trip brings."""
    params = day.params[0]
    if params["accept_bias"] >= ALWAYS:
        return True
    fare = 0.0
    if params["accept_per_cent"] != 0.0:
        if order["trip_m"] < 0:
            way = find_way(day.streets, params, order["pickup_node"], order["dropoff_node"], day.scratch)
            order["trip_free_ms"], order["trip_m"] = way[1], way[2]
        metered = params["fare_base"] + params["fare_per_km"] * order["trip_m"] / 1000
        metered += params["fare_per_minute"] * order["trip_free_ms"] / 60_000
        fare = max(metered, params["fare_minimum"])
    log_odds = params["accept_bias"] - params["accept_per_ms"] * order["eta_ms"]
    log_odds += params["accept_per_cent"] * fare
    occasion = np.int64(order["attempt"]) << 32 | row
    u = uniform(params["seed"], ACCEPT, order["origin"], occasion)
    return math.log(u) - math.log1p(-u) < log_odds


@kernel()
def _take_order(driver, order, order_row, row):
    """Let a driver serve an order, now or after the passenger on board."""
    order["stage"], order["driver"] = ACCEPTED, row
    if driver["phase"] == ON_TRIP:
        driver["next_order"] = order_row
    else:
        driver["order"] = order_row
        plan_way(driver, order["pickup_node"], TO_PICKUP)


@kernel(inline=True)
def _answer(day, driver, row, at_ms):
    """Answer an offer."""
    order_row = np.int64(driver["offered"])
    order = day.orders[order_row]
    wants = _wants(day, order, row)
    if wants and _is_moving_idly(driver["phase"]):
        _break_off(day, driver, row, at_ms)
    kind = told.ACCEPTED if wants else told.DECLINED
    emit(day.out, kind, at_ms, order_row, day.driver_id[row], 0, NO_INDEX)
    _withdraw_offer(driver, at_ms)
    if wants:
        order["num_accepted"] += 1
        judge_eta(order, day.params[0], at_ms)
        _take_order(driver, order, order_row, row)
    else:
        order["stage"], order["driver"] = WAITING, NO_INDEX


# --- customers --------------------------------------------------------------------------------------


@kernel(inline=True)
def _customer_turn(day, row, at_ms):
    """Let a customer do what it has put itself down for, unless things have changed.

    Returns the driver whom it concerns, ``NO_INDEX`` for none, and whether that one breaks a leg off.
    """
    order, params = day.orders[row], day.params[0]
    what, stage, driver_row = order["due"], order["stage"], np.int64(order["driver"])
    order["due"] = NOTHING
    if what == ASKS_AGAIN:
        _ask_again(day, order, at_ms)
        return NOBODY, False
    loses_patience = what == LOSES_PATIENCE and (stage == WAITING or stage == OFFERED)
    leaves = (what == FINDS_IT_FAR or what == FINDS_IT_LATE) and stage == ACCEPTED
    if not (loses_patience or leaves):
        return NOBODY, False
    emit(day.out, told.CANCELLED, at_ms, row, NO_VALUE, 0, NO_INDEX)
    end_order(order, params, day.out.num, at_ms, loses_patience)
    if stage == WAITING:
        return NOBODY, False
    driver = day.drivers[driver_row]
    if stage == OFFERED:
        _withdraw_offer(driver, at_ms)
        return driver_row, False
    return driver_row, _free(driver)


@kernel(inline=True)
def _ask_again(day, order, at_ms):
    """Add another order of the same customer, to be submitted in this window."""
    num = day.out.num[ORDERS_KNOWN]
    day.out.num[ORDERS_KNOWN] = num + 1
    day.orders[num] = order
    again = day.orders[num]
    again["attempt"] += 1
    again["requested_at_ms"] = again["wanted_at_ms"] = at_ms
    again["num_accepted"], again["noted_ms"], again["is_first"] = 0, NEVER, 0
    day.out.retries[day.out.num[RETRIES_MADE]] = num
    day.out.num[RETRIES_MADE] += 1


# --- windows ----------------------------------------------------------------------------------------


@kernel()
def _note_driver(agenda, driver, row):
    """Enter what is due next of a driver into the agenda, if it is not there."""
    due_ms = driver["due_at_ms"]
    if due_ms != driver["noted_ms"] and due_ms < NEVER:
        put(agenda, due_ms, DRIVER << KEY_BITS | row)
    driver["noted_ms"] = due_ms


@kernel()
def _note_order(agenda, order, row):
    """Enter what a customer does next into the agenda, if it is not there."""
    due_ms = order["due_at_ms"]
    if order["due"] != NOTHING and due_ms != order["noted_ms"]:
        put(agenda, due_ms, CUSTOMER << KEY_BITS | row)
        order["noted_ms"] = due_ms


@kernel((DAY, I32))
def ask(day, rows):
    """Let the customers of orders (n,) begin to wait; the orders are submitted."""
    for row in rows:
        _begin_to_wait(day, np.int64(row))


@kernel()
def _begin_to_wait(day, row):
    """Let the customer of an order that is submitted begin to wait."""
    order = day.orders[row]
    await_driver(order, day.params[0], order["requested_at_ms"])
    _note_order(day.agenda, order, row)


@kernel((DAY, LOG, i64, I32, I32, i64))
def begin(day, decided, decided_at_ms, node, rows, now_ms):
    """Begin a window: take up what was decided, let new customers wait, and let happen what is due.

    Parameters
    ----------
    day : Day
    decided, decided_at_ms, node
        What the dispatcher's latest step gave, as :func:`react` takes it.
    rows : (orders,) int32
        Orders that were submitted.
    now_ms : int
        End of the window.

    Returns
    -------
    bool
        As of :func:`advance`.
    """
    react(day, decided_at_ms, decided, node)
    for row in rows:
        _begin_to_wait(day, np.int64(row))
    return advance(day, now_ms)


@kernel((DAY, i64))
def advance(day, now_ms):
    """Let everything happen that is due by `now_ms`, in the order of time; tell whether all of it did.

    Events are noted in ``day.out``. Where there is no room left, they are to be told before the next call.
    """
    agenda, out = day.agenda, day.out
    while agenda.size[0] > 0 and agenda.at_ms[0] <= now_ms:
        if max(out.num[EVENTS_MADE], out.num[RETRIES_MADE]) + ROOM_PER_TURN > len(out.events):
            return False
        if agenda.size[0] + ROOM_PER_TURN > len(agenda.key) or out.num[ORDERS_KNOWN] == len(day.orders):
            return False
        at_ms = agenda.at_ms[0]
        key = take(agenda)
        whose, row = key >> KEY_BITS, key & ((1 << KEY_BITS) - 1)
        driver_row, order_row, breaks_off = NOBODY, NOBODY, False
        # Entries stay where what they stand for has changed: only the latest one of each counts.
        if whose == CUSTOMER:
            order = day.orders[row]
            if order["due_at_ms"] == at_ms and order["due"] != NOTHING:
                order["noted_ms"] = NEVER
                driver_row, breaks_off = _customer_turn(day, row, at_ms)
                order_row = row
        elif whose == ANSWER:
            if day.drivers[row]["answer_at_ms"] == at_ms:
                driver_row, order_row = row, np.int64(day.drivers[row]["offered"])
                _answer(day, day.drivers[row], row, at_ms)
        elif day.drivers[row]["due_at_ms"] == at_ms:
            driver = day.drivers[row]
            driver["due_at_ms"] = driver["noted_ms"] = NEVER
            driver_row, order_row = row, np.int64(driver["order"])
            breaks_off = _driver_turn(day, driver, row, at_ms)
        if driver_row != NOBODY:
            driver = day.drivers[driver_row]
            if breaks_off:
                _break_off(day, driver, driver_row, at_ms)
            settle(day, driver, driver_row, at_ms)
            _note_driver(agenda, driver, driver_row)
        if order_row != NOBODY:
            _note_order(agenda, day.orders[order_row], order_row)
    return True


@kernel()
def _row_of(driver_id, wanted):
    """Find the row of a driver, who is there."""
    low, high = 0, len(driver_id) - 1
    while low < high:
        middle = (low + high) // 2
        if driver_id[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return np.int64(low)


@kernel((DAY, i64, LOG, I32))
def react(day, now_ms, decided, node):
    """Take up what the dispatcher decided; what drivers decide in turn waits for the next window.

    Parameters
    ----------
    day : Day
    now_ms : int
        Instant of the decisions.
    decided : (n,) EVENT_DTYPE
        What a step of the dispatcher gave, in its sequence.
    node : (n,) int32
        Where drivers are sent to by advice; (0,) where there is none.
    """
    for i in range(len(decided)):
        kind = decided[i]["kind"]
        if kind < ORDER_OFFERED or (OFFER_EXPIRED < kind < ORDER_EXPIRED) or kind > REPOSITION_ADVISED:
            continue
        order_row = decided[i]["order_id"]
        if kind == ORDER_EXPIRED:
            _expire(day, order_row, now_ms)
            continue
        row = _row_of(day.driver_id, decided[i]["driver_id"])
        driver = day.drivers[row]
        breaks_off = False
        if kind == ORDER_OFFERED:
            _think(day, driver, row, order_row, decided[i]["eta_ms"], now_ms)
        elif kind == OFFER_EXPIRED and driver["offered"] == order_row:
            day.orders[order_row]["stage"] = WAITING
            _withdraw_offer(driver, now_ms)
        elif kind == ORDER_RELEASED:
            breaks_off = _free(driver)
        elif kind == ORDER_REASSIGNED:
            day.orders[order_row]["eta_ms"] = decided[i]["eta_ms"]
            breaks_off = _is_moving_idly(driver["phase"])
        elif kind == REPOSITION_ADVISED and _follows(driver, day.params[0], row, node[i], now_ms):
            breaks_off = driver["phase"] == CRUISING
        if breaks_off:
            _break_off(day, driver, row, now_ms)
        if kind == ORDER_RELEASED and driver["todo"] == TRIP_OVER:
            driver["due_at_ms"], driver["todo"] = now_ms, 0  # an offer in the same step comes first
        elif kind == ORDER_REASSIGNED:
            _take_order(driver, day.orders[order_row], order_row, row)
        settle(day, driver, row, now_ms)
        _note_driver(day.agenda, driver, row)


@kernel(inline=True)
def _expire(day, order_row, now_ms):
    """End an order that found no driver in time."""
    order = day.orders[order_row]
    if order["stage"] == WAITING:
        end_order(order, day.params[0], day.out.num, now_ms, True)
        _note_order(day.agenda, order, order_row)


@kernel(inline=True)
def _think(day, driver, row, order_row, eta_ms, now_ms):
    """Let a driver think about an offer."""
    order, params = day.orders[order_row], day.params[0]
    order["stage"], order["driver"], order["eta_ms"] = OFFERED, row, eta_ms
    occasion = np.int64(order["attempt"]) << 32 | row
    u = uniform(params["seed"], ANSWER_TIME, order["origin"], occasion)
    least, most = params["answer_least_ms"], params["answer_most_ms"]
    driver["offered"], driver["answer_at_ms"] = order_row, NEVER
    thinks_ms = np.int64(least + u * (most - least))
    if thinks_ms < params["offer_timeout_ms"]:  # else the offer is gone before the answer
        driver["answer_at_ms"] = now_ms + thinks_ms
        put(day.agenda, driver["answer_at_ms"], ANSWER << KEY_BITS | row)


@kernel()
def _follows(driver, params, row, node, now_ms):
    """Tell whether an idle driver follows advice; it sets out then."""
    is_idle = (driver["phase"] == PARKED or driver["phase"] == CRUISING) and driver["offered"] == NO_INDEX
    occasion = np.int64(driver["num_moves"])
    driver["num_moves"] += 1
    if not is_idle or node == driver["node"] or now_ms >= driver["shift_end_ms"]:
        return False
    if uniform(params["seed"], FOLLOW, row, occasion) >= params["follow_share"]:
        return False
    plan_way(driver, node, REPOSITIONING)
    return True


@kernel((DAY, i64))
def go_home(day, now_ms):
    """Take every driver off duty who has no order; legs end where they are."""
    for row in range(len(day.drivers)):
        driver = day.drivers[row]
        phase = driver["phase"]
        driver["due_at_ms"] = NEVER
        if _is_moving_idly(phase) or phase == TO_STATION:
            _break_off(day, driver, row, now_ms)
        if phase == TO_STATION:
            driver["phase"] = OFF
        elif driver["phase"] == PARKED and driver["offered"] == NO_INDEX:
            emit(day.out, told.OFFLINE, now_ms, NO_VALUE, day.driver_id[row], 0, NO_INDEX)
            driver["phase"] = OFF


@kernel((DAY, I32, I64, I64, I64, I64, I64, I64))
def read_orders(day, rows, out_customer, out_ahead_ms, out_tier, out_first, out_passengers, out_class):
    """Write what customers say of their orders (n,)."""
    for i in range(len(rows)):
        order = day.orders[rows[i]]
        out_customer[i] = order["customer_id"]
        out_ahead_ms[i] = order["wanted_at_ms"] - order["requested_at_ms"]
        out_tier[i], out_first[i] = order["tier"], order["is_first"]
        out_passengers[i], out_class[i] = order["passengers"], order["vehicle_class"]
