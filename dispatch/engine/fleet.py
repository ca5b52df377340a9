"""The table of drivers."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.id_map import IdMap
from dispatch.engine.lifecycle import DriverStatus
from dispatch.engine.rows import Rows
from dispatch.engine.terms import DriverTerms
from dispatch.engine.vehicles import ALL_SKILLS, ANY_BITS
from dispatch.units import NO_INDEX

_NEVER = np.iinfo(np.int64).min


class Fleet(Rows):
    """One row a driver that ever came online; rows are never given up, so a row names its driver for good.

    Columns are (rows,), of which the first ``num_rows`` mean something; arguments are (n,).
    """

    COLUMNS: ClassVar = {
        "driver_id": (np.int64, 0),
        "status": (np.int8, DriverStatus.OFFLINE),
        "lon": (np.float64, 0.0),
        "lat": (np.float64, 0.0),
        "x": (np.float64, 0.0),
        "y": (np.float64, 0.0),
        "node": (np.int32, NO_INDEX),
        "position_at_ms": (np.int64, _NEVER),
        "changed_at_ms": (np.int64, _NEVER),
        "vehicle_class": (np.int32, 0),
        "car_bits": (np.int64, ANY_BITS),
        "class_bits": (np.int64, ANY_BITS),
        "eligible": (np.bool_, True),
        "skills": (np.int64, ALL_SKILLS),
        "quality_cost_ms": (np.int64, 0),
        "income_cost_ms": (np.int64, 0),
        "cost_ms": (np.int64, 0),
        "rank": (np.int32, NO_INDEX),
        "rank_since_ms": (np.int64, _NEVER),
        "advised_node": (np.int32, NO_INDEX),
        "advised_until_ms": (np.int64, _NEVER),
    }

    driver_id: NDArray[np.int64]
    status: NDArray[np.int8]
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    x: NDArray[np.float64]
    """metres in the city's plane"""
    y: NDArray[np.float64]
    node: NDArray[np.int32]
    """nearest node, NO_INDEX off the network"""
    position_at_ms: NDArray[np.int64]
    changed_at_ms: NDArray[np.int64]
    """instant of the latest event"""
    vehicle_class: NDArray[np.int32]
    car_bits: NDArray[np.int64]
    """what the car may serve: :func:`dispatch.engine.vehicles.served_bits`"""
    class_bits: NDArray[np.int64]
    """the same of eligible drivers, 0 of others"""
    eligible: NDArray[np.bool_]
    """whether the driver gets orders"""
    skills: NDArray[np.int64]
    """bits of what the driver is trained for"""
    quality_cost_ms: NDArray[np.int64]
    """what a low score costs, as pickup time"""
    income_cost_ms: NDArray[np.int64]
    """what it costs to give more to those who earn most"""
    cost_ms: NDArray[np.int64]
    """both together"""
    rank: NDArray[np.int32]
    """the taxi rank at which an idle driver queues, NO_INDEX elsewhere"""
    rank_since_ms: NDArray[np.int64]
    advised_node: NDArray[np.int32]
    """where the driver was advised to wait, last"""
    advised_until_ms: NDArray[np.int64]
    """when it should be there"""

    def __init__(self) -> None:
        super().__init__()
        self.ids = IdMap()

    def register(self, driver_ids: NDArray[np.int64]) -> NDArray[np.int32]:
        """Give the rows of these distinct drivers, adding the new ones as offline."""
        new_ids = driver_ids[self.ids.rows(driver_ids) == NO_INDEX]
        if len(new_ids):
            self.ids.append(new_ids, self.driver_id, self.num_rows)
            added = self.append(len(new_ids))  # may replace the columns: before one is written
            self.driver_id[added] = new_ids
        return self.ids.rows(driver_ids)

    def set_cars(self, rows: NDArray[np.int32], car_bits: NDArray[np.int64]) -> None:
        """Write what the cars of drivers (n,) may serve."""
        self.car_bits[rows] = car_bits
        self.class_bits[rows] = np.where(self.eligible[rows], car_bits, 0)

    def set_terms(self, rows: NDArray[np.int32], terms: DriverTerms) -> None:
        """Write the terms of drivers (n,), which have been checked."""
        self.eligible[rows] = terms.eligible
        self.class_bits[rows] = np.where(self.eligible[rows], self.car_bits[rows], 0)
        self.skills[rows] = terms.skills
        self.quality_cost_ms[rows] = terms.quality_cost_ms
        self.income_cost_ms[rows] = terms.income_cost_ms
        self.cost_ms[rows] = terms.quality_cost_ms + terms.income_cost_ms

    def idle_rows(self, fresh_since_ms: int) -> NDArray[np.int32]:
        """Give the idle drivers on the network who get orders and were heard of since `fresh_since_ms`."""
        used = slice(0, self.num_rows)
        eligible = (self.status[used] == DriverStatus.IDLE) & self.eligible[used]
        eligible &= self.node[used] != NO_INDEX
        eligible &= self.position_at_ms[used] >= fresh_since_ms
        return np.flatnonzero(eligible).astype(np.int32)
