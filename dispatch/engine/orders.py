"""The table of orders, and what was refused."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.id_map import IdMap
from dispatch.engine.lifecycle import FINAL_STATUSES, OrderStatus
from dispatch.engine.rows import Rows
from dispatch.units import NO_INDEX, NO_VALUE

_NEVER = np.iinfo(np.int64).max


class Orders(Rows):
    """One row an order, in the sequence of submission, until finished orders are forgotten.

    Columns are (rows,), of which the first ``num_rows`` mean something; arguments are (n,).
    """

    COLUMNS: ClassVar = {
        "order_id": (np.int64, 0),
        "status": (np.int8, OrderStatus.OPEN),
        "pickup_lon": (np.float64, 0.0),
        "pickup_lat": (np.float64, 0.0),
        "dropoff_lon": (np.float64, 0.0),
        "dropoff_lat": (np.float64, 0.0),
        "pickup_node": (np.int32, NO_INDEX),
        "dropoff_node": (np.int32, NO_INDEX),
        "trip_ms": (np.int32, NO_VALUE),
        "submitted_at_ms": (np.int64, 0),
        "expires_at_ms": (np.int64, _NEVER),
        "changed_at_ms": (np.int64, 0),
        "driver_idx": (np.int32, NO_INDEX),
        "offer_expires_at_ms": (np.int64, _NEVER),
        "eta_ms": (np.int32, NO_VALUE),
        "nearest_eta_ms": (np.int32, NO_VALUE),
        "picked_up_at_ms": (np.int64, NO_VALUE),
        "cars_shown": (np.bool_, False),
    }

    order_id: NDArray[np.int64]
    status: NDArray[np.int8]
    pickup_lon: NDArray[np.float64]
    pickup_lat: NDArray[np.float64]
    dropoff_lon: NDArray[np.float64]
    dropoff_lat: NDArray[np.float64]
    pickup_node: NDArray[np.int32]
    dropoff_node: NDArray[np.int32]
    trip_ms: NDArray[np.int32]
    """predicted travel time of the trip"""
    submitted_at_ms: NDArray[np.int64]
    expires_at_ms: NDArray[np.int64]
    """when the order expires if no driver has it"""
    changed_at_ms: NDArray[np.int64]
    """instant of the latest event"""
    driver_idx: NDArray[np.int32]
    """driver to whom the order is offered, or who serves or served it"""
    offer_expires_at_ms: NDArray[np.int64]
    """when the live offer times out"""
    eta_ms: NDArray[np.int32]
    """pickup ETA of the latest offer or assignment"""
    nearest_eta_ms: NDArray[np.int32]
    """pickup ETA of the nearest eligible driver at that moment"""
    picked_up_at_ms: NDArray[np.int64]
    cars_shown: NDArray[np.bool_]

    def __init__(self) -> None:
        super().__init__()
        self.ids = IdMap()
        self._refused = np.empty(0, np.int64)

    def add(self, order_ids: NDArray[np.int64]) -> slice:
        """Add new orders, open; the caller fills the other columns."""
        self.ids.append(order_ids, self.order_id[: self.num_rows].copy())
        added = self.append(len(order_ids))
        self.order_id[added] = order_ids
        return added

    def rows_in(self, status: OrderStatus) -> NDArray[np.int32]:
        """Give the orders in this status, in the sequence of submission."""
        return np.flatnonzero(self.status[: self.num_rows] == status).astype(np.int32)

    def refuse(self, order_idx: NDArray[np.int32], driver_idx: NDArray[np.int32]) -> None:
        """Remember that these drivers are not to be offered these orders (again)."""
        self._refused = np.append(self._refused, _pair(order_idx, driver_idx))

    def refused(self, order_idx: NDArray[np.int32], driver_idx: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Tell which of these pairs (n,) were refused."""
        if not len(self._refused):
            return np.zeros(len(order_idx), np.bool_)
        return np.isin(_pair(order_idx, driver_idx), self._refused)

    def forget_finished(self) -> int:
        """Give up the rows of orders in a final status, and tell how many they were."""
        num_rows = self.num_rows
        kept = np.flatnonzero(~np.isin(self.status[:num_rows], FINAL_STATUSES))
        new_row = np.full(num_rows, NO_INDEX, np.int32)
        new_row[kept] = np.arange(len(kept), dtype=np.int32)
        order, driver = (self._refused >> 32).astype(np.int32), self._refused.astype(np.int32)
        alive = new_row[order] != NO_INDEX
        self._refused = _pair(new_row[order[alive]], driver[alive])
        self.keep(kept)
        self.ids.rebuild(self.order_id[: self.num_rows].copy())
        return num_rows - len(kept)


def _pair(order_idx: NDArray[np.int32], driver_idx: NDArray[np.int32]) -> NDArray[np.int64]:
    """Pack two rows into one sortable number."""
    return (order_idx.astype(np.int64) << 32) | driver_idx
