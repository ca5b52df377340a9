"""What a simulated day remembers: drivers and orders as rows, streets, and what is due.

Rows are records: a kernel hands a single row on without counting references to all columns.
"""

from typing import NamedTuple

import numba
import numpy as np

from dispatch.kernels.agenda import AGENDA, Agenda
from dispatch.kernels.all_pairs import ALL_PAIRS, AllPairs
from dispatch.kernels.cruising import CRUISE, Cruise
from dispatch.kernels.event_log import LOG
from dispatch.kernels.jit import F64, I32, I32_2D, I64, I64_2D, record
from dispatch.kernels.labels import ENDS, Ends
from dispatch.kernels.traffic import TRAFFIC, Traffic
from dispatch.kernels.unpacking import SHORTCUTS, Shortcuts

OFF, PARKED, CRUISING, REPOSITIONING, TO_PICKUP, AT_DOOR, BOARDING, ON_TRIP, BREAK, TO_STATION, CHARGING = (
    range(11)
)
"""Phases of a driver; what is due ends them. At the door it waits for a customer who does not come."""
FUTURE, WAITING, OFFERED, ACCEPTED, ARRIVED, RIDING, DONE = range(7)
"""Stages of an order, as its customer knows them."""
NOTHING, LOSES_PATIENCE, FINDS_IT_FAR, FINDS_IT_LATE, ASKS_AGAIN = range(5)
"""What a customer does next."""
DECIDED, TRIP_OVER, BE_IDLE, SET_OUT = range(4)
"""What a driver still has to decide at an instant; each leads to the next, until all is decided."""
ANSWER, CUSTOMER, DRIVER = range(3)
"""Whose turn an entry of the agenda is; at one instant, answers come first."""
KEY_BITS = 40
NEVER = np.iinfo(np.int64).max

(
    HAZARD,
    IMPATIENT,
    FAR,
    LATE,
    NO_SHOW,
    RETRY,
    RETRY_TIME,
    ACCEPT,
    ANSWER_TIME,
    GIVE_UP,
    GIVE_UP_TIME,
    WIND_DOWN,
    MOVE,
    HOME,
    HOME_NODE,
    FOLLOW,
    PICKUP_LUCK,
    TRIP_LUCK,
    MOVE_LUCK,
    TIER,
    CLASS,
    FIRST_ORDER,
    CUSTOMER_OF_ORDER,
    PREBOOKED,
    AHEAD,
    CAR_CLASS,
    ELECTRIC,
    BATTERY,
    PASSENGERS,
) = range(29)
"""Streams of random numbers: one a behaviour."""

SIM_DRIVER = np.dtype(
    [
        ("due_at_ms", np.int64),
        ("answer_at_ms", np.int64),  # when the offer is answered; NEVER without one
        ("noted_ms", np.int64),  # the latest instant that was entered into the agenda
        ("leg_start_ms", np.int64),
        ("leg_ms", np.int64),  # how long the leg really takes
        ("gives_up_at_ms", np.int64),  # the driver will not reach the pickup; NEVER
        ("shift_end_ms", np.int64),
        ("working_since_ms", np.int64),  # since the start of the shift or the latest break
        ("cruising_since_ms", np.int64),  # since the cruising that was not told yet began
        ("leg_m", np.float64),
        ("battery_m", np.float64),
        ("driven_m", np.int64),  # odometer: whole metres of legs that were driven
        ("untold_m", np.int64),  # of these, metres of cruising that were not told yet
        ("node", np.int32),  # where it stands, or where its leg ends
        ("order", np.int32),
        ("next_order", np.int32),
        ("offered", np.int32),
        ("shift", np.int32),
        ("end_shift", np.int32),
        ("home_node", np.int32),
        ("station", np.int32),
        ("num_moves", np.int32),
        ("num_nodes", np.int32),  # of the leg
        ("target", np.int32),  # where to set out to
        ("phase", np.int8),
        ("next_phase", np.int8),  # in which to set out
        ("todo", np.int8),  # what to decide at this very instant
        ("is_electric", np.int8),
    ]
)
"""A simulated driver."""
SIM_ORDER = np.dtype(
    [
        ("requested_at_ms", np.int64),
        ("wanted_at_ms", np.int64),
        ("due_at_ms", np.int64),
        ("noted_ms", np.int64),  # the latest instant that was entered into the agenda
        ("customer_id", np.int64),
        ("trip_ms", np.int64),  # recorded duration, NO_VALUE: by the traffic
        ("trip_m", np.float64),  # length of the trip once it was looked up, NO_VALUE before
        ("eta_ms", np.int32),
        ("trip_free_ms", np.int32),
        ("pickup_node", np.int32),
        ("dropoff_node", np.int32),
        ("origin", np.int32),  # the order of which this is another try, itself if it is none
        ("driver", np.int32),
        ("num_accepted", np.int32),  # how often a driver accepted
        ("stage", np.int8),
        ("due", np.int8),
        ("attempt", np.int8),
        ("tier", np.int8),
        ("is_first", np.int8),
        ("passengers", np.int8),
        ("vehicle_class", np.int8),
    ]
)
"""A simulated order."""
SIM_PARAMS = np.dtype(
    [
        ("seed", np.int64),
        ("week_offset_ms", np.int64),  # added to an instant: time since Monday 0:00, local
        ("start_at_ms", np.int64),
        ("slot_ms", np.int64),  # of the traffic's factors
        ("city_slot_ms", np.int64),
        ("boarding_ms", np.int64),
        ("alighting_ms", np.int64),
        ("cruising_told_ms", np.int64),  # cruising is told when it has gone on for so long, if not before
        ("impatient_after_ms", np.int64),
        ("far_eta_ms", np.int64),
        ("late_after_ms", np.int64),
        ("no_show_wait_ms", np.int64),
        ("retry_after_ms", np.float64),
        ("max_retries", np.int64),
        ("answer_least_ms", np.float64),
        ("answer_most_ms", np.float64),
        ("offer_timeout_ms", np.int64),
        ("break_after_ms", np.int64),
        ("break_ms", np.int64),
        ("wind_down_ms", np.int64),
        ("charge_ms", np.float64),  # from empty to full
        ("num_base_orders", np.int64),
        ("has_table", np.int64),
        ("height", np.int64),  # of the hierarchy
        ("rho", np.float64),
        ("impatient_share", np.float64),
        ("hazard_per_ms", np.float64),
        ("far_share", np.float64),
        ("late_share", np.float64),
        ("no_show_share", np.float64),
        ("retry_share", np.float64),
        ("accept_bias", np.float64),
        ("accept_per_ms", np.float64),
        ("accept_per_cent", np.float64),
        ("give_up_share", np.float64),
        ("wind_down_share", np.float64),
        ("home_share", np.float64),
        ("follow_share", np.float64),
        ("range_m", np.float64),
        ("reserve_m", np.float64),
        ("fare_base", np.float64),
        ("fare_per_km", np.float64),
        ("fare_per_minute", np.float64),
        ("fare_minimum", np.float64),
        ("cruises", np.int64),
    ]
)
"""Numbers of all behaviours; one row."""

DRIVERS, ORDERS, PARAMS = (numba.from_dtype(dtype)[::1] for dtype in (SIM_DRIVER, SIM_ORDER, SIM_PARAMS))


class Shifts(NamedTuple):
    """Spells of duty, sorted by driver, then start."""

    start_at_ms: np.ndarray
    """(shifts,) int64"""
    end_at_ms: np.ndarray
    """(shifts,) int64"""
    node: np.ndarray
    """(shifts,) int32"""


class Streets(NamedTuple):
    """How to drive: by a table of all pairs where there is one, else by the hierarchy."""

    table: AllPairs
    shortcuts: Shortcuts
    sources: Ends
    """every node as a start"""
    targets: Ends
    """every node as an end"""
    head: np.ndarray
    """(arcs,) int32"""
    length_m: np.ndarray
    """(arcs,) float64"""


class Legs(NamedTuple):
    """The way that each driver drives; the first ``num_nodes`` of a row mean something."""

    node: np.ndarray
    """(drivers, width) int32"""
    at_ms: np.ndarray
    """(drivers, width) int32, free-flow time since the start"""


class Weather(NamedTuple):
    """True travel times."""

    traffic: Traffic
    city: np.ndarray
    """(slots,) float64, state of the city by quarters of an hour since the start"""


class Stations(NamedTuple):
    """Where cars charge."""

    of_node: np.ndarray
    """(nodes,) int32, the nearest station"""
    node: np.ndarray
    """(stations,) int32"""
    free_at_ms: np.ndarray
    """(stations, slots) int64, when each slot is free again"""


class Out(NamedTuple):
    """What has happened and was not told yet: arrays (room,) of int32 where nothing else is said."""

    events: np.ndarray
    """(room,) EVENT_DTYPE, whose numbers are int64 and int32"""
    node: np.ndarray
    """(room,) int32"""
    retries: np.ndarray
    """(room,) int32, orders that ask again, to be submitted"""
    num: np.ndarray
    """(4,) int64: events, retries, orders known, orders that are not finished"""


EVENTS_MADE, RETRIES_MADE, ORDERS_KNOWN, UNFINISHED = range(4)


class Day(NamedTuple):
    """A day under way."""

    drivers: np.ndarray
    orders: np.ndarray
    params: np.ndarray
    driver_id: np.ndarray
    """(drivers,) int64"""
    shifts: Shifts
    streets: Streets
    legs: Legs
    scratch: Legs
    """(1, nodes) ways before they are cut to width"""
    weather: Weather
    cruise: Cruise
    stations: Stations
    agenda: Agenda
    out: Out


SHIFTS = record(Shifts, I64, I64, I32)
STREETS = record(Streets, ALL_PAIRS, SHORTCUTS, ENDS, ENDS, I32, F64)
LEGS = record(Legs, I32_2D, I32_2D)
WEATHER = record(Weather, TRAFFIC, F64)
STATIONS = record(Stations, I32, I32, I64_2D)
OUT = record(Out, LOG, I32, I32, I64)
DAY = record(
    Day, DRIVERS, ORDERS, PARAMS, I64, SHIFTS, STREETS, LEGS, LEGS, WEATHER, CRUISE, STATIONS, AGENDA, OUT
)
