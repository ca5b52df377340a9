"""What a driver's last trips left of their predictions."""

from dispatch.kernels.jit import F64, I64, f64, kernel


@kernel((I64, I64, I64, I64, F64, f64, F64, F64))
def recent_residuals(order, driver, start_ms, end_ms, residual, keep, out_mean, out_num):
    """Write what a driver's trips that ended before a trip began left, the last ones most.

    Each trip counts `keep` times as much as the one after it; what lies more than ``FORGET_MS`` back is of
    another shift.

    Parameters
    ----------
    order : (n,) int64
        Trips by driver, then start.
    driver, start_ms, end_ms : (n,) int64
    residual : (n,) float64
    keep : float
        0 … 1.
    out_mean : (n,) float64
        Drawn towards 0 by ``PRIOR`` trips.
    out_num : (n,) float64
        Weight of the trips.
    """
    total, num, before = 0.0, 0.0, -1
    for i in order:
        if before < 0 or driver[i] != driver[before] or start_ms[i] - end_ms[before] > FORGET_MS:
            total, num = 0.0, 0.0
        elif end_ms[before] <= start_ms[i]:
            total, num = keep * (total + residual[before]), keep * (num + 1.0)
        out_mean[i], out_num[i] = total / (num + PRIOR), num
        before = i


FORGET_MS = 6 * 3600 * 1000
PRIOR = 1.5
