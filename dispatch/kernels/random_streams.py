"""Random numbers by name, not by turn: a draw depends on seed, behaviour, person and occasion.

Nothing is drawn one after another, so that a behaviour that is switched off, or an order served by
another driver, leaves every other draw as it was. The counter is mixed by the finalizer of SplitMix64
(Steele, Lea and Flood 2014), once for each part of the name; counter-based generators: Salmon et al. 2011.
"""

import numpy as np

from dispatch.kernels.jit import F64, I64, i64, kernel
from dispatch.kernels.normal import normal_quantile

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_HALF_STEP = 2.0**-54


@kernel()
def _mix(state):
    """Scatter 64 bits."""
    state = (state ^ (state >> np.uint64(30))) * _FIRST
    state = (state ^ (state >> np.uint64(27))) * _SECOND
    return state ^ (state >> np.uint64(31))


@kernel()
def uniform(seed, stream, who, occasion):
    """Draw a number in (0, 1) for an occasion of a person in a stream."""
    state = _mix(np.uint64(seed) + _GOLDEN)
    state = _mix(state + _GOLDEN * np.uint64(stream + 1))
    state = _mix(state + _GOLDEN * np.uint64(who + 1))
    state = _mix(state + _GOLDEN * np.uint64(occasion + 1))
    # 53 bits, in the middle of their steps: never 0, never 1.
    return np.float64(state >> np.uint64(11)) * 2.0**-53 + _HALF_STEP


@kernel()
def normal(seed, stream, who, occasion):
    """Draw a standard normal number for an occasion of a person in a stream."""
    return normal_quantile(uniform(seed, stream, who, occasion))


@kernel((i64, i64, I64, i64, F64))
def draw(seed, stream, who, occasion, out_uniform):
    """Draw a uniform number for each person (n,)."""
    for i in range(len(who)):
        out_uniform[i] = uniform(seed, stream, who[i], occasion)
