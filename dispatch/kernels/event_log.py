"""The event log's row, and how a kernel writes one."""

import numba
import numpy as np

from dispatch.kernels.jit import kernel
from dispatch.units import NO_COORDINATE, NO_VALUE

EVENT_DTYPE = np.dtype(
    [
        ("at_ms", np.int64),  # when
        ("order_id", np.int64),  # NO_VALUE: concerns no order
        ("driver_id", np.int64),  # NO_VALUE: concerns no driver
        ("customer_id", np.int64),  # order_submitted; NO_VALUE: not told
        # offered, assigned, reassigned: quoted pickup ETA; miss_predicted: what is left; picked_up: trip
        ("eta_ms", np.int32),
        ("nearest_eta_ms", np.int32),  # offered, assigned, reassigned: ETA of the nearest eligible driver
        (
            "leg_m",
            np.int32,
        ),  # driver_arrived: metres to the pickup; dropped_off: with the passenger; *_leg: driven
        ("fare_cents", np.int32),  # dropped_off
        (
            "lon_e6",
            np.int32,
        ),  # submitted, arrived: pickup; dropped_off: drop-off; online, offline, *_leg: driver
        ("lat_e6", np.int32),  # reposition_advised: where to
        ("wanted_after_ms", np.int32),  # order_submitted: from now to the wanted pickup; 0: at once
        ("num_cars", np.int16),  # cars_shown
        ("tier", np.int8),  # order_submitted: the customer's membership tier, 0 the lowest
        ("is_first", np.int8),  # order_submitted: 1 the customer's first order ever, 0 a later one
        ("passengers", np.int8),  # order_submitted
        (
            "vehicle_class",
            np.int8,
        ),  # order_submitted: asked for; driver_online: the car's; 0 the ordinary one
        ("kind", np.int8),  # EventKind
    ]
)
"""One event. Absent numbers are ``NO_VALUE``, absent coordinates ``NO_COORDINATE``."""

LOG = numba.from_dtype(EVENT_DTYPE)[::1]


@kernel()
def write_event(log, row, kind, at_ms):
    """Write row `row` of `log` as an event of which only kind and instant are known."""
    event = log[row]  # fields by subscript: as plain Python, numpy's rows know no attributes
    event["at_ms"] = at_ms
    event["order_id"] = event["driver_id"] = event["customer_id"] = NO_VALUE
    event["eta_ms"] = event["nearest_eta_ms"] = event["leg_m"] = event["fare_cents"] = NO_VALUE
    event["lon_e6"] = event["lat_e6"] = NO_COORDINATE
    event["wanted_after_ms"] = event["num_cars"] = NO_VALUE
    event["tier"] = event["is_first"] = event["passengers"] = event["vehicle_class"] = NO_VALUE
    event["kind"] = kind


@kernel((LOG, LOG))
def copy_events(events, out_events):
    """Copy events (n,); numpy would do it field by field."""
    for i in range(len(events)):
        out_events[i] = events[i]


@kernel((LOG, LOG), makes_arrays=True)
def sort_by_time(events, out_events):
    """Copy events (n,) in the order of time; those of one instant stay as they stand. A merge sort.

    Logs are nearly sorted: runs that are sorted already are found and merged.
    """
    num = len(events)
    order, other = np.arange(num).astype(np.int32), np.empty(num, np.int32)
    start = np.empty(num + 1, np.int32)
    num_runs = 0
    for i in range(num):
        if i == 0 or events[i]["at_ms"] < events[i - 1]["at_ms"]:
            start[num_runs] = i
            num_runs += 1
    start[num_runs] = num
    while num_runs > 1:
        merged = 0
        for run in range(0, num_runs, 2):
            a, end_a = start[run], start[run + 1]
            b, end_b = end_a, start[min(run + 2, num_runs)]
            start[merged] = a
            merged += 1
            for k in range(a, end_b):
                from_b = a == end_a or (b < end_b and events[order[b]]["at_ms"] < events[order[a]]["at_ms"])
                if from_b:
                    other[k] = order[b]
                    b += 1
                else:
                    other[k] = order[a]
                    a += 1
        start[merged] = num
        num_runs = merged
        order, other = other, order
    for i in range(num):
        out_events[i] = events[order[i]]
