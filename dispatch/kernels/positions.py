"""Positions of many drivers: checked at one go, and written into the table."""

import numpy as np

from dispatch.kernels.happenings import KNOWN, TABLES
from dispatch.kernels.id_map import find_one
from dispatch.kernels.jit import F64, I32, I64, i64, kernel
from dispatch.units import LATEST_MS, NO_INDEX

NOT_IN_ORDER = -1


@kernel()
def _is_place(lon, lat):
    """Tell whether these are degrees."""
    return -180.0 <= lon <= 180.0 and -90.0 <= lat <= 90.0


@kernel((I64, F64, F64, I64, I32, i64, KNOWN, TABLES), makes_arrays=True)
def move_all(driver_id, lon, lat, at_ms, node, latest_ms, known, out_tables):
    """Move drivers if all rows are plainly in order; where not, a closer look tells what is wrong.

    Parameters
    ----------
    driver_id : (n,) int64
    lon, lat : (n,) float64
        Degrees.
    at_ms : (n,) int64
        Instants of the fixes; (1,): one serves all.
    node : (n,) int32
    latest_ms : int
        Positions that are later are ignored, like those older than the one known.
    known : Known
    out_tables : Tables

    Returns
    -------
    int
        How many were ignored, or ``NOT_IN_ORDER``: nothing was written.
    """
    num, num_nodes = len(driver_id), len(known.node_lon)
    row_of = np.empty(num, np.int32)
    has_row = np.zeros(len(out_tables.lon), np.bool_)
    for i in range(num):
        fix_ms = at_ms[i if len(at_ms) > 1 else 0]
        if not (_is_place(lon[i], lat[i]) and 0 <= node[i] < num_nodes and -LATEST_MS <= fix_ms <= LATEST_MS):
            return NOT_IN_ORDER
        row = find_one(known.driver_slot_id, known.driver_slot_row, driver_id[i])
        if row == NO_INDEX or has_row[row]:
            return NOT_IN_ORDER
        row_of[i], has_row[row] = row, True
    num_ignored = 0
    for i in range(num):
        row, fix_ms = row_of[i], at_ms[i if len(at_ms) > 1 else 0]
        if fix_ms < out_tables.position_at_ms[row] or fix_ms > latest_ms:
            num_ignored += 1
            continue
        at = node[i]
        out_tables.lon[row], out_tables.lat[row] = lon[i], lat[i]
        out_tables.node[row], out_tables.position_at_ms[row] = at, fix_ms
        out_tables.x[row], out_tables.y[row] = known.node_x[at], known.node_y[at]
    return num_ignored
