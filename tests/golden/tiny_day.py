"""A tiny day without anything random, and its log as text.

After an intended change of the log, write the file anew and look at the difference:
``python tests/golden/tiny_day.py``
"""

import csv
import io
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cities import T0, line_city, places, random_trips, shifts_of, small_scenario
from dispatch.engine.events import EVENT_DTYPE, EventKind
from dispatch.engine.params import DispatchParams
from dispatch.sim.runner import run
from dispatch.sim.scenario import SimParams

GOLDEN = Path(__file__).with_name("tiny_day.csv")
NUM_EVENTS = 50
CITY = line_city(60)
ORDERS = (
    # seconds after T0, pickup, drop-off, recorded duration in seconds or -1
    (3, 10, 20, -1),
    (4, 12, 5, 95),
    (4, 30, 31, -1),
    (21, 59, 0, -1),
    (22, 11, 11, -1),
    (40, 5, 45, 400),
    (41, 6, 20, -1),
    (90, 20, 19, 10),
    (200, 31, 30, -1),
)
SHIFTS = ((41, 0, 3600, 9), (7, 0, 100, 13), (7, 300, 900, 20), (300, 35, 3600, 33))
"""driver, first and last second after T0, node"""


def tiny_day():
    at_s, pickup, dropoff, duration_s = (np.array(column) for column in zip(*ORDERS, strict=True))
    orders = replace(
        random_trips(CITY, len(ORDERS)),
        requested_at_ms=T0 + 1000 * at_s,
        pickup_node=pickup.astype(np.int32),
        dropoff_node=dropoff.astype(np.int32),
        pickup_lon=places(CITY, pickup)[0],
        pickup_lat=places(CITY, pickup)[1],
        dropoff_lon=places(CITY, dropoff)[0],
        dropoff_lat=places(CITY, dropoff)[1],
        duration_s=duration_s.astype(np.int32),
    )
    by_driver = sorted(SHIFTS)
    return small_scenario(
        city=CITY,
        orders=orders,
        shifts=shifts_of(
            [(one, T0 + 1000 * begin, T0 + 1000 * end, node) for one, begin, end, node in by_driver]
        ),
        params=DispatchParams(max_pickup_s=220.0, max_wait_s=120.0),
        sim=SimParams(window_s=10.0, boarding_s=30.0, alighting_s=15.0, ping_s=30.0),
    )


def log_as_csv():
    """The first events: kinds by name, instants after T0."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    names = [name for name in EVENT_DTYPE.names if name != "kind"]
    writer.writerow(["kind", *names])
    for event in run(tiny_day()).events[:NUM_EVENTS]:
        values = {name: int(event[name]) for name in names} | {"at_ms": int(event["at_ms"]) - T0}
        writer.writerow([EventKind(event["kind"]).name.lower(), *values.values()])
    return file.getvalue()


if __name__ == "__main__":
    GOLDEN.write_text(log_as_csv(), encoding="utf-8")
