"""Idle drivers in plain Python and numpy: one decision, and what many drivers do over time."""

import math
from typing import NamedTuple

import numpy as np

from dispatch.units import NO_INDEX


def next_move(cruise, hour, node, u_stay, u_cell, u_node, u_length):
    """(target or NO_INDEX, milliseconds to stay), by looking at every cell and node in turn."""
    if u_stay >= cruise.stay_share[hour]:
        sums = cruise.target_cum[hour, cruise.cell_of_node[node]]
        cell = next(c for c, total in enumerate(sums) if total > u_cell)
        begin, end = cruise.first_of_cell[cell], cruise.first_of_cell[cell + 1]
        entry = next(entry for entry in range(begin, end) if cruise.node_cum[entry] > u_node)
        if cruise.node_of_cell[entry] != node:
            return int(cruise.node_of_cell[entry]), 0
    return NO_INDEX, max(1, math.ceil(-math.log1p(-u_length) * cruise.stay_ms[hour]))


class Cruised(NamedTuple):
    """What idle drivers did: seen every `step_ms`."""

    node: np.ndarray
    """(spells, steps + 1) NO_INDEX after the end of the spell"""
    stays: np.ndarray
    """(spells, steps) whether the driver stays during the step"""
    driven_m: np.ndarray
    """(spells,) metres along the streets"""


def cruise_along(model, metric, start_node, start_hour, duration_ms, seed, step_ms=60_000):
    """Let idle drivers (spells,) follow a model, each for its own time, from where it dropped off.

    All make their next decision together; hours pass as whole hours since the start.
    """
    random = np.random.default_rng(seed)
    num, steps = len(start_node), int(duration_ms.max() // step_ms)
    seen_at_ms = step_ms * np.arange(steps + 1)
    node_seen = np.full((num, steps + 1), NO_INDEX, np.int32)
    stays_seen = np.zeros((num, steps), bool)
    driven_m, node, clock_ms = np.zeros(num), start_node.astype(np.int32), np.zeros(num)
    while len(active := np.flatnonzero(clock_ms < duration_ms)):
        moves = [
            next_move(model.arrays, int(start_hour[d] + clock_ms[d] // 3_600_000) % 24, int(node[d]), *u)
            for d, u in zip(active, random.random((len(active), 4)), strict=True)
        ]
        target = np.array([move[0] for move in moves], np.int32)
        stay_ms = np.array([move[1] for move in moves])
        driving = np.flatnonzero(target != NO_INDEX)
        paths = metric.paths(node[active[driving]], target[driving])
        leg_of_driver = dict(zip(active[driving].tolist(), range(len(driving)), strict=True))
        for d, lasts_ms in zip(active.tolist(), stay_ms.tolist(), strict=True):
            begin_ms = clock_ms[d]
            if (leg := leg_of_driver.get(d)) is not None:
                part = slice(paths.first[leg], paths.first[leg + 1])
                at_ms, at_m, nodes = model.slowness * paths.at_ms[part], paths.at_m[part], paths.node[part]
                lasts_ms = at_ms[-1]
                driven_m[d] += np.interp(min(lasts_ms, duration_ms[d] - begin_ms), at_ms, at_m)
            end_ms = begin_ms + lasts_ms
            first, last = (int(-(-ms // step_ms)) for ms in (begin_ms, min(end_ms, duration_ms[d] + 1)))
            rows = np.arange(first, min(last, steps + 1))
            if leg is None:
                node_seen[d, rows] = node[d]
                stays_seen[d, rows[rows < steps]] = True
            else:
                passed = np.searchsorted(at_ms, seen_at_ms[rows] - begin_ms, side="right") - 1
                node_seen[d, rows] = nodes[passed]
                node[d] = nodes[-1]
            clock_ms[d] = end_ms
    return Cruised(node_seen, stays_seen, driven_m)
