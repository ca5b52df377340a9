"""Runs for tests of reports: random logs in a small city."""

from analysis.logs import random_log
from cities import grid_city
from dispatch.analysis import kpis
from dispatch.analysis.run_record import RunRecord

CITY = grid_city(12, 12)
META = {
    "date": "2008-05-31",
    "policy": "batch",
    "seed": 1,
    "orders": 1234,
    "wall_s": 1.25,
    "notes": ["Request time is the recorded boarding."],
}


def log_in_city(seed, num_steps=1500):
    """A random log whose pickups lie on the city's nodes."""
    events = random_log(seed, num_steps=num_steps, num_drivers=12)
    node = seed + events["order_id"] % 137
    for axis in ("lon", "lat"):
        known = events[f"{axis}_e6"] != 2**31 - 1
        degrees = getattr(CITY.graph, f"node_{axis}")[node % CITY.graph.num_nodes]
        events[f"{axis}_e6"][known] = (degrees[known] * 1e6).round().astype("int32")
    return events


def record(seed, label, *, partial=False, **meta):
    """A run of a random log."""
    events = log_in_city(seed)
    return RunRecord(label, {**META, **meta}, events, kpis(events, travel_is_predicted=True), partial)
