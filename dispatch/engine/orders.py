"""The table of orders, what was refused, and what single pairs cost."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.id_map import IdMap
from dispatch.engine.lifecycle import FINAL_STATUSES, OrderStatus
from dispatch.engine.pair_terms import PairCosts
from dispatch.engine.rows import Rows
from dispatch.kernels.refusals import Refusals, look_up, refuse
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
        "wanted_at_ms": (np.int64, 0),
        "class_bits": (np.int64, 1),
        "tier": (np.int8, 0),
        "priority": (np.int64, NO_VALUE),
        "patience_ms": (np.int64, 0),
        "skills": (np.int64, 0),
        "first_refusal": (np.int32, NO_INDEX),
        "promised_at_ms": (np.int64, NO_VALUE),
        "miss_predicted": (np.bool_, False),
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
    wanted_at_ms: NDArray[np.int64]
    """when the customer wants to be picked up; when it asked, unless it booked ahead"""
    class_bits: NDArray[np.int64]
    """which cars may serve it: :func:`dispatch.kernels.submission.asked_bits`"""
    tier: NDArray[np.int8]
    priority: NDArray[np.int64]
    """permille of an ordinary order's weight, NO_VALUE where not told"""
    patience_ms: NDArray[np.int64]
    """how long the customer is expected to wait, 0 where not known"""
    skills: NDArray[np.int64]
    """bits all of which the driver must hold"""
    first_refusal: NDArray[np.int32]
    """latest of the refusals, chained; NO_INDEX for none"""
    promised_at_ms: NDArray[np.int64]
    """when the driver is to arrive, as promised at the latest assignment"""
    miss_predicted: NDArray[np.bool_]
    """whether that driver was found to come too late, and was told so"""

    def __init__(self) -> None:
        super().__init__()
        self.ids = IdMap()
        self.live = np.empty(64, np.int32)
        """rows of orders that are not finished, in the sequence of submission; perhaps some that just are"""
        self.num_live = 0
        self._refusal = np.empty((2, 64), np.int32)
        self._refusals: Refusals | None = None
        self.num_refusals = 0
        self.pair_costs = PairCosts()

    def make_room(self, num_new: int) -> None:
        """Make room for new orders, which a kernel enters as the next rows."""
        self.ids.reserve(num_new, self.order_id, self.num_rows)
        self.reserve(num_new)
        if self.num_live + num_new > len(self.live):
            self.live = np.append(self.live, np.empty(self.num_live + num_new, np.int32))

    def count(self, num_new: int) -> None:
        """Count orders that a kernel has entered."""
        self.ids.count(num_new)
        self.num_rows += num_new
        self.num_live += num_new

    def rows_in(self, status: OrderStatus) -> NDArray[np.int32]:
        """Give the orders in this status, in the sequence of submission."""
        return np.flatnonzero(self.status[: self.num_rows] == status).astype(np.int32)

    def promise(
        self, order_idx: NDArray[np.int32], at_ms: NDArray[np.int64], eta_ms: NDArray[np.int32]
    ) -> None:
        """Keep the pickup ETA of orders (n,) that are assigned at these instants: what they were promised."""
        self.eta_ms[order_idx] = eta_ms
        self.promised_at_ms[order_idx] = at_ms + eta_ms
        self.miss_predicted[order_idx] = False

    def refusals(self, num_more: int) -> Refusals:
        """Give all refusals to kernels, with room for some more."""
        needed = self.num_refusals + num_more
        if needed > self._refusal.shape[1]:
            grown = np.empty((2, 2 * needed), np.int32)
            grown[:, : self.num_refusals] = self._refusal[:, : self.num_refusals]
            self._refusal = grown
        kept = self._refusals
        if kept is None or kept.first is not self.first_refusal or kept.driver.base is not self._refusal:
            kept = Refusals(self.first_refusal, self._refusal[0], self._refusal[1])
            self._refusals = kept
        return kept

    def refuse(self, order_idx: NDArray[np.int32], driver_idx: NDArray[np.int32]) -> None:
        """Remember that these drivers are not to be offered these orders (again)."""
        refuse(order_idx, driver_idx, self.num_refusals, self.refusals(len(order_idx)))
        self.num_refusals += len(order_idx)

    def refused(self, order_idx: NDArray[np.int32], driver_idx: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Tell which of these pairs (n,) were refused."""
        found = np.zeros(len(order_idx), np.bool_)
        if self.num_refusals:
            look_up(self.refusals(0), order_idx, driver_idx, found)
        return found

    def has_pair_costs(self) -> bool:
        """Tell whether any pair of an unfinished order costs something; those of others are forgotten."""
        if len(self.pair_costs):
            self.pair_costs.drop_finished(self.status)
        return len(self.pair_costs) > 0

    def forget_finished(self) -> int:
        """Give up the rows of orders in a final status, and tell how many they were."""
        num_rows = self.num_rows
        kept = np.flatnonzero(~np.isin(self.status[:num_rows], FINAL_STATUSES))
        order, driver = self._refused_pairs(kept)
        self.pair_costs.keep_orders(kept)
        self.keep(kept)
        self.first_refusal[: self.num_rows] = NO_INDEX
        self.num_refusals = 0
        self.refuse(order, driver)
        self.live = np.arange(max(64, self.num_rows), dtype=np.int32)
        self.num_live = self.num_rows
        self.ids.rebuild(self.order_id[: self.num_rows].copy())
        return num_rows - len(kept)

    def _refused_pairs(self, kept: NDArray[np.intp]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """List the refusals of the orders `kept` (n,), earliest first, by their place among these."""
        pairs = []
        for row in np.flatnonzero(self.first_refusal[kept] != NO_INDEX).tolist():
            at = int(self.first_refusal[kept[row]])
            while at != NO_INDEX:
                pairs.append((at, row, int(self._refusal[0, at])))
                at = int(self._refusal[1, at])
        pairs.sort()
        columns = np.array(pairs, np.int32).reshape(-1, 3).T
        return np.ascontiguousarray(columns[1]), np.ascontiguousarray(columns[2])
