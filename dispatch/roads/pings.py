"""Recorded GPS pings of drivers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class RecordedPings:
    """Pings sorted by driver, then time. Arrays are C-contiguous and of one length."""

    driver_id: NDArray[np.int64]
    """(pings,)"""
    at_ms: NDArray[np.int64]
    """(pings,) milliseconds since the epoch"""
    lon: NDArray[np.float64]
    """(pings,) degrees, WGS84"""
    lat: NDArray[np.float64]
    """(pings,)"""
    occupied: NDArray[np.bool_]
    """(pings,) a passenger was aboard"""
