"""How edges run, as a column of a table: WKB in Parquet files, WKT in texts."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from dispatch.roads.edge_shapes import EdgeShapes
from dispatch.roads.tables import Dropped, Table
from dispatch.units import INDEX_DTYPE

COLUMN: Final = "geometry"
MAX_GAP: Final = 1e-4
"""A line belongs to an edge if its ends lie so near to the edge's nodes, degrees."""

_LINE: Final = 1
"""What shapely calls a LineString."""


def to_wkb(shapes: EdgeShapes) -> NDArray[Any]:
    """Give the line of each arc (arcs,) as WKB."""
    arc = np.repeat(np.arange(shapes.num_arcs), np.diff(shapes.first_point))
    lines = shapely.linestrings(np.column_stack([shapes.lon, shapes.lat]), indices=arc)
    return np.asarray(shapely.to_wkb(lines))


def read_shapes(
    table: Table,
    rows: NDArray[np.int64],
    tail_lonlat: tuple[NDArray[np.float64], NDArray[np.float64]],
    head_lonlat: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> tuple[EdgeShapes | None, tuple[Dropped, ...]]:
    """Read the lines of some edges.

    Lines drawn from head to tail are turned round. An edge without a line is straight, and so is one whose
    line does not join its nodes, which is counted.

    Parameters
    ----------
    table : Table
        Of edges, with a column ``geometry`` or without.
    rows : (n,) int64
        Rows of the table.
    tail_lonlat, head_lonlat : two (n,) float64 each
        Where the edges begin and end, degrees.

    Returns
    -------
    shapes : EdgeShapes or None
        None if the table has no lines.
    drops : tuple of Dropped
    """
    if COLUMN not in table or not table.filled(COLUMN)[rows].any():
        return None, ()
    lines = _lines(table, rows)
    ends = np.stack([*tail_lonlat, *head_lonlat], axis=1)
    given = shapely.get_type_id(lines) == _LINE
    there, back = _gaps(lines, ends), _gaps(lines, ends[:, [2, 3, 0, 1]])
    lines = np.where(back < there, shapely.reverse(lines), lines)
    fits = given & (np.minimum(there, back) <= MAX_GAP)
    straight = shapely.linestrings(ends.reshape(-1, 2, 2))
    lines = np.where(fits, lines, straight)
    wrong = int(np.count_nonzero(table.filled(COLUMN)[rows] & ~fits))
    what = "lines that do not join the nodes of their edges (drawn straight)"
    return _shapes(lines, ends), (Dropped(what, wrong, table.path.name),) if wrong else ()


def _lines(table: Table, rows: NDArray[np.int64]) -> NDArray[Any]:
    """Give the geometries of some rows (n,), None where there is none or it cannot be read."""
    column = table.columns[COLUMN].combine_chunks().take(pa.array(rows))
    cells = np.array(column.to_pylist(), object)
    if table.is_text(COLUMN):
        return np.asarray(shapely.from_wkt(cells, on_invalid="ignore"))
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        raise table.wrong(COLUMN, "it must hold lines as WKB or WKT")
    return np.asarray(shapely.from_wkb(cells, on_invalid="ignore"))


def _gaps(lines: NDArray[Any], ends: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give how far, in degrees, the ends of lines (n,) are from given points (n, 4); infinite: no line."""
    first, last = shapely.get_point(lines, 0), shapely.get_point(lines, -1)
    found = np.stack([shapely.get_x(first), shapely.get_y(first), shapely.get_x(last), shapely.get_y(last)])
    gaps = np.abs(found.T - ends).max(axis=1)
    return np.where(np.isnan(gaps), np.inf, gaps)


def _shapes(lines: NDArray[Any], ends: NDArray[np.float64]) -> EdgeShapes:
    """Give the points of lines (n,), which begin and end exactly at their nodes (n, 4)."""
    points = np.ascontiguousarray(shapely.get_coordinates(lines).T)
    first_point = np.zeros(len(lines) + 1, np.int64)
    np.cumsum(shapely.get_num_coordinates(lines), out=first_point[1:])
    points[:, first_point[:-1]] = ends[:, :2].T
    points[:, first_point[1:] - 1] = ends[:, 2:].T
    return EdgeShapes(first_point.astype(INDEX_DTYPE), points[0], points[1])
