"""Range checks of input columns: one pass, no temporary array."""

from dispatch.kernels.jit import F64, I32, I64, f64, i64, kernel
from dispatch.units import NO_INDEX


@kernel((I64, i64, i64), (I32, i64, i64), (F64, f64, f64))
def first_outside(values, low, high):
    """Find the first of `values` (n,) that is not from `low` to `high`; NaN is not.

    Returns
    -------
    int
        Its row, ``NO_INDEX`` if there is none.
    """
    for i in range(len(values)):
        if not low <= values[i] <= high:
            return i
    return NO_INDEX
