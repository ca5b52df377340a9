"""First come, first served: each order takes its cheapest driver that is still free."""

from dispatch.kernels.jit import I32, I64, kernel
from dispatch.units import NO_INDEX


@kernel((I32, I32, I64, I32, I32))
def assign_nearest(first_candidate, candidate_driver, cost, out_order_of_driver, out_candidate_of_order):
    """Serve the orders in the sequence of their rows; of equal costs the first candidate is taken.

    Parameters
    ----------
    first_candidate : (orders + 1,) int32
        Candidates of order ``i`` are ``first_candidate[i] … first_candidate[i + 1] - 1``.
    candidate_driver : (candidates,) int32
        Driver of each candidate.
    cost : (candidates,) int64
        Cost of each candidate.
    out_order_of_driver : (drivers,) int32
        ``NO_INDEX`` on entry where a driver is free; on return the order that each serves.
    out_candidate_of_order : (orders,) int32
        The candidate that each order takes, ``NO_INDEX`` where none was left.
    """
    for order in range(len(first_candidate) - 1):
        best = NO_INDEX
        for candidate in range(first_candidate[order], first_candidate[order + 1]):
            if out_order_of_driver[candidate_driver[candidate]] == NO_INDEX and (
                best == NO_INDEX or cost[candidate] < cost[best]
            ):
                best = candidate
        out_candidate_of_order[order] = best
        if best != NO_INDEX:
            out_order_of_driver[candidate_driver[best]] = order
