"""Streets, their times, and drives along them, drawn at random, as kernels of ETAs read them."""

import numpy as np

from dispatch.kernels.edge_times import EdgeSeconds
from dispatch.kernels.route_features import NUM_CLASSES, Drives, Streets

NUM_SLOTS = 72
NUM_PARTS = 12


def streets_of(rng, num_nodes, num_edges):
    """Streets whose lengths, classes and bearings have nothing to do with each other."""
    return Streets(
        rng.uniform(-5000, 5000, num_nodes),
        rng.uniform(-5000, 5000, num_nodes),
        rng.uniform(0.1, 60, num_edges),
        rng.uniform(1, 900, num_edges),
        rng.integers(0, NUM_CLASSES, num_edges).astype(np.int8),
        rng.uniform(-np.pi, np.pi, num_edges).astype(np.float32),
    )


def seconds_of(rng, num_edges, num_slots=NUM_SLOTS):
    """Times of edges in a few cells."""
    num_cells = int(rng.integers(1, 5))
    return EdgeSeconds(
        rng.uniform(0.5, 80, num_edges),
        rng.integers(0, num_cells, num_edges).astype(np.int32),
        rng.uniform(0.4, 2.5, (num_slots, num_cells)),
    )


def ways_of(rng, num_ways, num_edges, most=7):
    """Row starts and edges of ways, some of them without an edge."""
    num = rng.integers(0, most + 1, num_ways)
    first = np.concatenate([[0], np.cumsum(num)]).astype(np.int64)
    return first, rng.integers(0, num_edges, first[-1]).astype(np.int32)


def drives_of(rng, num, num_nodes, reach_m=6000.0):
    """Drives at any time of the week; the first ends where it begins."""
    ends = rng.uniform(-reach_m, reach_m, (4, num))
    nodes = rng.integers(0, num_nodes, (2, num)).astype(np.int32)
    nodes[1, :1] = nodes[0, :1]
    minute = rng.integers(0, 7 * 1440, num).astype(np.int32)
    slot = rng.integers(0, NUM_SLOTS, num).astype(np.int32)
    part = rng.integers(0, NUM_PARTS, num).astype(np.int32)
    return Drives(*(row.copy() for row in ends), nodes[0].copy(), nodes[1].copy(), minute, slot, part)
