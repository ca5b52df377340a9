"""Legs of simulated drivers: ways, true times, and places on the way."""

import numpy as np

from dispatch.kernels.jit import F64, I32, I64, i64, kernel
from dispatch.kernels.labels import Ends
from dispatch.kernels.sim_state import DAY, OFF
from dispatch.kernels.traffic import leg_score, true_ms
from dispatch.kernels.unpacking import find_paths
from dispatch.units import UNREACHABLE_MS


@kernel()
def _by_table(table, start, to, scratch):
    """Write the way from `start` to `to`; give nodes, free-flow time and metres."""
    node, num, metres, at_ms = np.int64(start), 1, 0.0, np.int32(0)
    scratch.node[0, 0], scratch.at_ms[0, 0] = node, 0
    place = table.place
    if table.to_ms[to, place[node]] >= UNREACHABLE_MS:
        return 1, np.int32(UNREACHABLE_MS), metres
    next_arc = table.next_arc[to]
    while node != to:
        arc = table.first_arc[node] + next_arc[place[node]]
        node = np.int64(table.head[arc])
        metres += table.length_m[arc]
        # Summed up, not looked up: rows of the table are cold, the columns of arcs are hot.
        at_ms += table.travel_ms[arc]
        scratch.node[0, num], scratch.at_ms[0, num] = node, at_ms
        num += 1
    return num, at_ms, metres


@kernel(makes_arrays=True)
def _ends_of(all_ends, node):
    """Give one node as the only place."""
    begin, end = all_ends.first[node], all_ends.first[node + 1]
    first = np.array([0, end - begin], np.int32)
    return Ends(first, all_ends.rank[begin:end], all_ends.ms[begin:end])


@kernel(makes_arrays=True)
def _by_hierarchy(streets, height, start, to, scratch):
    """Write the way from `start` to `to`; give nodes, free-flow time and metres."""
    out_ms, out_first = np.empty(1, np.int32), np.empty(2, np.int32)
    scratch.node[0, 0], scratch.at_ms[0, 0] = start, 0
    if start == to:
        return 1, np.int32(0), 0.0
    sources, targets = _ends_of(streets.sources, start), _ends_of(streets.targets, to)
    edges = find_paths(streets.shortcuts, sources, targets, height, out_ms, out_first)
    num, metres, at_ms = 1, 0.0, np.int64(0)
    for edge in edges:
        metres += streets.length_m[edge]
        at_ms += streets.shortcuts.travel_ms[edge]
        if num < scratch.node.shape[1]:
            scratch.node[0, num], scratch.at_ms[0, num] = streets.head[edge], at_ms
            num += 1
    return num, out_ms[0], metres


@kernel()
def find_way(streets, params, start, to, scratch):
    """Write the way from `start` to `to` into `scratch`; give nodes, free-flow time and metres."""
    if params["has_table"]:
        return _by_table(streets.table, start, to, scratch)
    return _by_hierarchy(streets, params["height"], start, to, scratch)


@kernel()
def lasts_ms(weather, params, at_ms, free_ms, own):
    """Give how long a leg that begins at `at_ms` really takes; `own` is its luck, a normal number."""
    slot = (at_ms + params["week_offset_ms"]) // params["slot_ms"] % len(weather.traffic.factor)
    quarter = (at_ms - params["start_at_ms"]) // params["city_slot_ms"]
    city = weather.city[min(max(quarter, 0), len(weather.city) - 1)]
    return true_ms(weather.traffic, slot, free_ms, leg_score(params["rho"], city, own))


@kernel()
def keep_way(num, scratch, row, out_legs):
    """Keep a way as row `row` of the legs, thinned evenly where it is longer than they; count its nodes."""
    width = out_legs.node.shape[1]
    step = (num + width - 2) // (width - 1) if num > width else 1
    kept = 0
    for k in range(0, num - 1, step):
        out_legs.node[row, kept], out_legs.at_ms[row, kept] = scratch.node[0, k], scratch.at_ms[0, k]
        kept += 1
    out_legs.node[row, kept], out_legs.at_ms[row, kept] = scratch.node[0, num - 1], scratch.at_ms[0, num - 1]
    return kept + 1


@kernel()
def _passed(driver, legs, row, now_ms):
    """Give the last node passed of a leg, and how much of the way to the next is behind, at an instant."""
    last = np.int64(driver["num_nodes"]) - 1
    path_ms = legs.at_ms[row, last]
    elapsed = min(max(now_ms - driver["leg_start_ms"], 0), driver["leg_ms"])
    along_ms = path_ms * (elapsed / driver["leg_ms"]) if driver["leg_ms"] > 0 else float(path_ms)
    low, high = np.int64(0), last
    while low < high:
        middle = (low + high + 1) // 2
        if legs.at_ms[row, middle] <= along_ms:
            low = middle
        else:
            high = middle - 1
    ahead = min(low + 1, last)
    arc_ms = legs.at_ms[row, ahead] - legs.at_ms[row, low]
    share = (along_ms - legs.at_ms[row, low]) / arc_ms if arc_ms > 0 else 0.0
    return low, ahead, share


@kernel()
def stop_at(driver, legs, row, now_ms):
    """Give the node at which a driver who breaks its leg off comes to stand, and its metres until there.

    The nearer end of the arc it is on; metres are taken to pass as evenly as free-flow time.
    """
    low, ahead, share = _passed(driver, legs, row, now_ms)
    k = low if share < 0.5 else ahead
    path_ms = legs.at_ms[row, np.int64(driver["num_nodes"]) - 1]
    metres = driver["leg_m"] * (legs.at_ms[row, k] / path_ms) if path_ms > 0 else driver["leg_m"]
    return legs.node[row, k], metres


@kernel((DAY, i64, F64, F64, I64, F64, F64, I32))
def locate_all(day, now_ms, node_lon, node_lat, out_driver_id, out_lon, out_lat, out_node):
    """Write id and place of every driver on duty at an instant; give their number.

    Parameters
    ----------
    day : Day
    now_ms : int
    node_lon, node_lat : (nodes,) float64
        Degrees.
    out_driver_id : (drivers,) int64
    out_lon, out_lat : (drivers,) float64
    out_node : (drivers,) int32
        The nearer of the nodes that the driver is between.
    """
    drivers, legs = day.drivers, day.legs
    num = 0
    for row in range(len(drivers)):
        driver = drivers[row]
        if not is_on_duty(driver["phase"]):
            continue
        node = ahead = np.int64(driver["node"])
        share = 0.0
        if is_under_way(driver["phase"]):
            low, after, share = _passed(driver, legs, row, now_ms)
            node, ahead = np.int64(legs.node[row, low]), np.int64(legs.node[row, after])
        out_driver_id[num] = day.driver_id[row]
        out_lon[num] = node_lon[node] + share * (node_lon[ahead] - node_lon[node])
        out_lat[num] = node_lat[node] + share * (node_lat[ahead] - node_lat[node])
        out_node[num] = node if share < 0.5 else ahead
        num += 1
    return num


@kernel()
def is_on_duty(phase):
    """Tell whether a driver in this phase is on duty."""
    return OFF < phase < 8  # breaks and charging follow


@kernel()
def is_under_way(phase):
    """Tell whether a driver in this phase drives."""
    return 2 <= phase <= 4 or phase == 7  # cruising, repositioning, to a pickup; on a trip
