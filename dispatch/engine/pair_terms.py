"""Who had better not serve whom: costs of single pairs of an order and a driver, few among all pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.inputs import as_ids, as_whole_in, check_as_many
from dispatch.engine.terms import MAX_COST_MS
from dispatch.errors import InputError
from dispatch.kernels.transition import FIRST_FINAL

_SHIFT: Final = 32
"""Rows of both tables fit in one number, by order, then driver."""


@dataclass(frozen=True)
class PairTerms:
    """What is known of pairs of an order and a driver: one row a pair; a single number serves every row.

    Parameters
    ----------
    order_id : (n,) int64
        Orders that were submitted.
    driver_id : (n,) int64
        The caller's names, not negative; no pair twice.
    cost_ms : (n,) int64
        What it costs to let them meet, as pickup time: 0 … 3,600,000, in the place of what was told before.
    may_meet : (n,) int64
        0 where the order is never to be offered to the driver, from now on for good.
    """

    order_id: Any
    driver_id: Any
    cost_ms: Any = 0
    may_meet: Any = 1

    def checked(self) -> PairTerms:
        """Give the same with every array read and checked; :class:`InputError` otherwise."""
        orders, drivers = as_ids("order_id", self.order_id), as_ids("driver_id", self.driver_id)
        check_as_many("driver_id", drivers, "order_id", orders)
        by_pair = np.lexsort((drivers, orders))
        told, of = orders[by_pair], drivers[by_pair]
        twice = np.flatnonzero((told[1:] == told[:-1]) & (of[1:] == of[:-1]))
        if len(twice):
            raise InputError(
                f"order_id and driver_id hold {told[twice[0]]} and {of[twice[0]]} more than once: one row a "
                "pair in each call"
            )
        return PairTerms(
            orders,
            drivers,
            as_whole_in("cost_ms", self.cost_ms, len(orders), 0, MAX_COST_MS),
            as_whole_in("may_meet", self.may_meet, len(orders), 0, 1),
        )


class PairCosts:
    """Costs of pairs by rows of the tables; arguments are (n,), a pair that is not kept costs nothing."""

    def __init__(self) -> None:
        self._key = np.empty(0, np.int64)
        self._cost_ms = np.empty(0, np.int64)

    def __len__(self) -> int:
        """Count the pairs that cost something."""
        return len(self._key)

    def set(
        self, order_idx: NDArray[np.int32], driver_idx: NDArray[np.int32], cost_ms: NDArray[np.int64]
    ) -> None:
        """Keep the costs of distinct pairs, in the place of earlier ones."""
        key = _key_of(order_idx, driver_idx)
        stays = ~np.isin(self._key, key)
        self._keep(np.append(self._key[stays], key), np.append(self._cost_ms[stays], cost_ms))

    def of(self, order_idx: NDArray[np.int32], driver_idx: NDArray[np.int32]) -> NDArray[np.int64]:
        """Give the costs of pairs."""
        cost_ms = np.zeros(len(order_idx), np.int64)
        if not len(self._key):
            return cost_ms
        key = _key_of(order_idx, driver_idx)
        place = np.minimum(np.searchsorted(self._key, key), len(self._key) - 1)
        hit = self._key[place] == key
        cost_ms[hit] = self._cost_ms[place[hit]]
        return cost_ms

    def has(self, order_idx: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Tell of which orders a pair is kept."""
        return np.isin(order_idx, self._key >> _SHIFT)

    def drop_finished(self, status: NDArray[np.int8]) -> None:
        """Forget the pairs of finished orders, by the order table's column (rows,)."""
        gone = status[self._key >> _SHIFT] >= FIRST_FINAL
        if gone.any():
            self._key, self._cost_ms = self._key[~gone], self._cost_ms[~gone]

    def keep_orders(self, kept: NDArray[np.intp]) -> None:
        """Forget all but the orders `kept` (n,) ascending, whose rows are 0, 1, … from now on."""
        order = self._key >> _SHIFT
        stays = np.isin(order, kept)
        place = np.searchsorted(kept, order[stays])
        driver = self._key[stays] & ((1 << _SHIFT) - 1)
        self._keep(place.astype(np.int64) << _SHIFT | driver, self._cost_ms[stays])

    def _keep(self, key: NDArray[np.int64], cost_ms: NDArray[np.int64]) -> None:
        """Keep pairs in their sequence, without those that cost nothing."""
        by_key = np.argsort(key)
        by_key = by_key[cost_ms[by_key] > 0]
        self._key, self._cost_ms = key[by_key], cost_ms[by_key]


def _key_of(order_idx: NDArray[np.int32], driver_idx: NDArray[np.int32]) -> NDArray[np.int64]:
    key: NDArray[np.int64] = order_idx.astype(np.int64) << _SHIFT | driver_idx
    return key
