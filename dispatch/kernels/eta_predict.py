"""Predictions of many drives at one go: columns of a block of them, and the forest on it."""

from math import exp, log
from typing import NamedTuple

import numpy as np
from numba import types

from dispatch.kernels.boosted_trees import (
    BLOCK_ROWS,
    FEW_ROWS,
    TREES,
    WORKSPACE,
    Trees,
    Workspace,
    bin_column,
    predict_row,
    sum_leaves,
)
from dispatch.kernels.edge_times import EDGE_SECONDS, EdgeSeconds
from dispatch.kernels.jit import F32_2D, F64_2D, I32, I64, I64_2D, f64, i64, kernel, record
from dispatch.kernels.pair_effects import EFFECT_TABLE, LEVELS, EffectTable, Ends, Levels, read_effects
from dispatch.kernels.route_features import (
    DRIVES,
    NUM_COLUMNS as NUM_ROUTE,
    STREETS,
    Drives,
    Streets,
    write_route_columns,
)

AIR_M, PROBES_S, TRIPS_S = 4, NUM_ROUTE - 2, NUM_ROUTE - 1
NUM_FORESTS = 5
NUM_PAIR, NUM_LIVE = 14, 6
FIRST_LIVE = NUM_ROUTE + NUM_PAIR
LIVE_ROUTE = FIRST_LIVE + 1
NUM_DRIVE_COLUMNS = FIRST_LIVE + NUM_LIVE
"""Columns of live traffic that hang on the way, not on the driver."""
NO_WAY_M_PER_S = 8.0
"""Where no way is known: metres by air."""
LEAST_S = 1.0
"""Of a drive that ends where it begins: ratios to it are finite."""


class Ground(NamedTuple):
    """What predictions stand on."""

    streets: Streets
    probes: EdgeSeconds
    """Times by pings"""
    trips: EdgeSeconds
    """Times by trips"""
    levels: Levels
    """Of pair effects"""
    effects: EffectTable
    start_s: float
    """What every drive takes beyond its way"""
    least_live: float
    """Least logarithm of the route's live factor that forests know"""
    most_live: float
    """Largest one"""


class Now(NamedTuple):
    """Live traffic of an instant."""

    city: float
    """Logarithm of the city's factor"""
    edge: np.ndarray
    """(edges, EDGE_KNOWN) float32: factor; logarithms of those of its cell, quickly and slowly forgotten;
    weights of what was observed on the edge, and in its cell. Without rows where nothing is known"""


class Asked(NamedTuple):
    """Drives and their ways."""

    drives: Drives
    first: np.ndarray
    """(n + 1,) int64"""
    edge: np.ndarray
    """(entries,) int32, the way of drive ``i`` is ``edge[first[i]] … edge[first[i + 1] - 1]``"""


EDGE_KNOWN = 5
GROUND = record(Ground, STREETS, EDGE_SECONDS, EDGE_SECONDS, LEVELS, EFFECT_TABLE, f64, f64, f64)
NOW = record(Now, f64, F32_2D)
ASKED = record(Asked, DRIVES, I64, I32)


@kernel(inline=True)
def _part(drives, begin, end):
    """Give some of the drives."""
    return Drives(
        drives.from_x[begin:end],
        drives.from_y[begin:end],
        drives.to_x[begin:end],
        drives.to_y[begin:end],
        drives.from_node[begin:end],
        drives.to_node[begin:end],
        drives.minute[begin:end],
        drives.slot[begin:end],
        drives.part[begin:end],
    )


@kernel()
def write_live_columns(drives, first, edge, probes, now, out_columns):
    """Write the first ``NUM_LIVE`` columns of :data:`dispatch.eta.live.LIVE_COLUMNS` of drives (n,)."""
    for i in range(len(drives.slot)):
        factor = probes.slot_factor[drives.slot[i]]
        usual_s, believed_s, quick_s, slow_s, edge_weight, cell_weight = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for k in range(first[i], first[i + 1]):
            e = edge[k]
            time_s = probes.edge_s[e] * factor[probes.cell[e]]
            usual_s += time_s
            believed_s += time_s * now.edge[e, 0]
            quick_s += time_s * now.edge[e, 1]
            slow_s += time_s * now.edge[e, 2]
            edge_weight += time_s * now.edge[e, 3]
            cell_weight += time_s * now.edge[e, 4]
        out_columns[0, i] = now.city
        out_columns[1, i], out_columns[2, i], out_columns[3, i] = now.city, now.city, now.city
        out_columns[4, i], out_columns[5, i] = 0.0, 0.0
        if usual_s > 0.0:
            out_columns[1, i] = log(believed_s / usual_s)
            out_columns[2, i], out_columns[3, i] = quick_s / usual_s, slow_s / usual_s
            out_columns[4, i], out_columns[5, i] = edge_weight / usual_s, cell_weight / usual_s


@kernel()
def base_seconds(start_s, way_s, air_m, has_way):
    """Give what a drive is predicted to take by its streets alone, at least ``LEAST_S``."""
    return max(start_s + (way_s if has_way else air_m / NO_WAY_M_PER_S), LEAST_S)


class Model(NamedTuple):
    """Forests, each of the ratio of true seconds to :func:`base_seconds`."""

    trees: tuple[Trees, ...]
    """NUM_FORESTS of them"""
    workspace: tuple[Workspace, ...]
    """The memory of each, of one thread"""
    base: np.ndarray
    """(NUM_FORESTS,) int64, the row of the columns that holds a forest's seconds of the way"""
    memo: np.ndarray
    """(2, levels) int64, scratch of pair effects, of one thread"""


MODEL = record(Model, types.UniTuple(TREES, NUM_FORESTS), types.UniTuple(WORKSPACE, NUM_FORESTS), I64, I64_2D)


@kernel()
def _split_live(ground, num, columns):
    """Leave forests of live traffic what they know, and write into the last row the factor that is beyond.

    Trees answer what they never saw as if it were the most they saw: a jam would end there.
    """
    for i in range(num):
        told = columns[LIVE_ROUTE, i]
        known = min(max(told, np.float32(ground.least_live)), np.float32(ground.most_live))
        columns[LIVE_ROUTE, i] = known
        columns[len(columns) - 1, i] = exp(told - known)


@kernel()
def _sum_trees(columns, num, is_first, trees, workspace, out):
    """Write the ratios of a block (num,), or of a few rows one by one.

    What is told of drivers does not change from block to block: it is sorted into bins once.
    """
    if num <= FEW_ROWS:
        row = workspace.columns[0]
        for i in range(num):
            for column in range(len(trees.low)):
                row[column] = columns[column, i]
            out[i] = predict_row(trees, row)
        return
    for column in range(len(trees.low) if is_first else NUM_DRIVE_COLUMNS):
        bin_column(trees, column, columns[column], BLOCK_ROWS if is_first else num, workspace)
    sum_leaves(trees, num, workspace, out)


@kernel((ASKED, GROUND, NOW, MODEL, i64, F32_2D, F64_2D))
def predict(asked, ground, now, model, num_forests, columns, out_s):
    """Write the predicted seconds of drives (n,) whose driver is not known.

    Parameters
    ----------
    asked : Asked
    ground : Ground
    now : Now
    model : Model
    num_forests : int
        How many, the first ones, are asked.
    columns : (all columns and one more, BLOCK_ROWS) float32
        Rows of what is told of drivers hold 0, and stay so.
    out_s : (num_forests, n) float64
    """
    num = len(asked.drives.slot)
    for begin in range(0, num, BLOCK_ROWS):
        end = min(begin + BLOCK_ROWS, num)
        part, first = _part(asked.drives, begin, end), asked.first[begin : end + 1]
        write_route_columns(part, first, asked.edge, ground.streets, ground.probes, ground.trips, columns)
        ends = Ends(part.from_x, part.from_y, part.to_x, part.to_y, part.part)
        read_effects(ends, ground.levels, ground.effects, model.memo, columns[NUM_ROUTE:])
        if len(now.edge) > 0:
            write_live_columns(part, first, asked.edge, ground.probes, now, columns[FIRST_LIVE:])
        else:
            for column in range(FIRST_LIVE, FIRST_LIVE + NUM_LIVE):
                for i in range(end - begin):
                    columns[column, i] = 0.0
        _split_live(ground, end - begin, columns)
        for one in range(num_forests):
            out, way_s = out_s[one, begin:end], columns[model.base[one]]
            _sum_trees(columns, end - begin, begin == 0, model.trees[one], model.workspace[one], out)
            for i in range(end - begin):
                has_way = first[i + 1] > first[i] or part.from_node[i] == part.to_node[i]
                air_m = np.float64(columns[AIR_M, i])
                out[i] *= base_seconds(ground.start_s, np.float64(way_s[i]), air_m, has_way)
                out[i] *= columns[len(columns) - 1, i]
