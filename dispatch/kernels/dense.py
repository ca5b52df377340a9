"""Full cost matrices: the few columns of a row that can matter, and the check that no other one does."""

from math import inf

import numpy as np

from dispatch.kernels.jit import F64_2D, I32, I64, f64, i64, kernel
from dispatch.units import NO_INDEX

SLACK = 1024
"""More units than floats err by where they stand for sums of integers below 2**60, whose ulp is 128."""


@kernel((F64_2D, i64, I32), makes_arrays=True)
def least_of_rows(matrix, k, out_column):
    """Find the `k` cheapest columns of each row, cheapest first.

    Parameters
    ----------
    matrix : (rows, columns) float64
        No NaN.
    k : int
        At most the number of columns.
    out_column : (rows * k,) int32
        Columns, row by row.
    """
    # Unsorted, the worst replaced and looked for anew: 34, not 23 ms for 12 of 5,000 x 5,000. What is below
    # the bound copied aside first, without branches: 32 ms.
    cost = np.empty(k, np.float64)
    for row in range(len(matrix)):
        costs, base, size, bound = matrix[row], row * k, 0, inf
        for column in range(len(costs)):
            at = costs[column]
            if at >= bound and size == k:
                continue
            place = min(size, k - 1)
            size = min(size + 1, k)
            while place > 0 and cost[place - 1] > at:
                cost[place] = cost[place - 1]
                out_column[base + place] = out_column[base + place - 1]
                place -= 1
            cost[place] = at
            out_column[base + place] = column
            if size == k:
                bound = cost[k - 1]


@kernel((F64_2D, I32, I32, f64, f64, I64))
def costs_in_units(matrix, first, column, units, least, out_cost):
    """Write costs (edges,) as whole units above `least`; `units` make a cost of 1."""
    for row in range(len(first) - 1):
        for edge in range(first[row], first[row + 1]):
            out_cost[edge] = np.int64(np.rint((matrix[row, column[edge]] - least) * units))


@kernel((F64_2D, f64, f64, I64, I64, I32), makes_arrays=True)
def cheaper_than_priced(matrix, units, least, row_price, column_price, out_column):
    """Find the columns of each row that cost less than the prices of row and column say.

    Parameters
    ----------
    matrix : (rows, columns) float64
        ``inf`` where a pair is forbidden.
    units, least
        As in :func:`costs_in_units`.
    row_price, column_price : int64
        In units.
    out_column : (rows * k,) int32
        Up to `k` of the worst offenders of each row, ``NO_INDEX`` where there are fewer.

    Returns
    -------
    int
        How many were found; 0 proves that the prices bound all pairs.
    """
    num_rows = len(matrix)
    k = len(out_column) // max(num_rows, 1)
    in_floats, offence = column_price.astype(np.float64), np.empty(k, np.int64)
    num_found = 0
    for row in range(num_rows):
        costs, base, size, worst = matrix[row], row * k, 0, 0
        # First in floats, which err by less than the slack; then exactly.
        limit = float(row_price[row] + SLACK)
        for column in range(len(costs)):
            if (costs[column] - least) * units - in_floats[column] >= limit:
                continue
            cost = np.int64(np.rint((costs[column] - least) * units))
            slack = cost - column_price[column] - row_price[row]
            if slack >= 0 or (size == k and slack >= offence[worst]):
                continue
            place = size if size < k else worst
            offence[place] = slack
            out_column[base + place] = column
            size = min(size + 1, k)
            if size == k:
                worst = 0
                for i in range(1, k):
                    worst = i if offence[i] > offence[worst] else worst
        out_column[base + size : base + k] = NO_INDEX
        num_found += size
    return num_found


@kernel((I32, I32, I32, I32, I32, I32))
def append_columns(first, column, more, edge_of_row, out_first, out_column):
    """Write the edges and, row by row, those of `more` (rows * k,); move `edge_of_row` along."""
    num_rows = len(first) - 1
    k, size = len(more) // num_rows, 0
    for row in range(num_rows):
        out_first[row] = size
        if edge_of_row[row] != NO_INDEX:
            edge_of_row[row] += size - first[row]
        for edge in range(first[row], first[row + 1]):
            out_column[size] = column[edge]
            size += 1
        for place in range(row * k, row * k + k):
            if more[place] != NO_INDEX:
                out_column[size] = more[place]
                size += 1
    out_first[num_rows] = size
