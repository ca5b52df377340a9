"""What it costs to give an order to a driver."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.candidates import CandidateSet


def pickup_cost(found: CandidateSet) -> NDArray[np.int64]:
    """Cost of each candidate (candidates,): its pickup ETA in milliseconds.

    Waiting time so far is no part of it: every order of a window has waited already, whichever driver
    it gets, and the number of orders served comes first in the objective.
    """
    return found.eta_ms.astype(np.int64)
