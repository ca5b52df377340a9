"""What an assignment problem is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.units import INDEX_DTYPE


@dataclass(frozen=True)
class AssignmentProblem:
    """Orders, the drivers that may serve each, and what that would cost.

    The constructor takes its arrays as valid; :meth:`checked` does not.
    """

    first_candidate: NDArray[np.int32]
    """(orders + 1,) candidates of order ``i`` are ``first_candidate[i] … first_candidate[i + 1] - 1``"""
    candidate_driver: NDArray[np.int32]
    """(candidates,) driver, ``0 … num_drivers - 1``; of equal pairs the least cost counts"""
    cost: NDArray[np.int64] | NDArray[np.int32] | NDArray[np.float64]
    """(candidates,) non-negative and finite, any unit"""
    num_drivers: int
    """Number of drivers, candidates or not"""
    capacity: NDArray[np.int32] | None = None
    """(drivers,) how many orders each driver can serve; 1 if there is none

    A driver's candidates are solved once for each of its places that is wanted: work and memory grow with the
    product, so let a driver of large capacity be a candidate of few orders.
    """

    @property
    def num_orders(self) -> int:
        """Number of orders."""
        return len(self.first_candidate) - 1

    @property
    def num_places(self) -> int:
        """How many orders the drivers could serve together."""
        return self.num_drivers if self.capacity is None else int(self.capacity.sum(dtype=np.int64))

    @classmethod
    def checked(
        cls,
        first_candidate: Any,
        candidate_driver: Any,
        cost: Any,
        num_drivers: int,
        capacity: Any | None = None,
    ) -> AssignmentProblem:
        """Make a problem from any arrays of numbers.

        Parameters
        ----------
        first_candidate : (orders + 1,) integer
            Rises from 0 to the number of candidates.
        candidate_driver : (candidates,) integer
            ``0 … num_drivers - 1``.
        cost : (candidates,) integer or float
            Non-negative, finite. A forbidden pair is no candidate.
        num_drivers : int
            Number of drivers.
        capacity : (drivers,) integer, optional
            How many orders each driver can serve, 0 and more; 1 by default.

        Returns
        -------
        AssignmentProblem

        Raises
        ------
        InputError
            If a value breaks one of these rules.
        """
        first = _integers("first_candidate", first_candidate)
        driver = _integers("candidate_driver", candidate_driver)
        costs = _costs(cost)
        most = np.iinfo(INDEX_DTYPE).max
        if not isinstance(num_drivers, (int, np.integer)) or not 0 <= num_drivers <= most:
            raise InputError(f"num_drivers is {num_drivers!r}: it must be an integer, 0 to {most}")
        if len(driver) > np.iinfo(INDEX_DTYPE).max:
            raise InputError(
                f"candidate_driver has {len(driver)} rows: int32 cannot number them, split the problem"
            )
        if len(first) == 0 or first[0] != 0:
            raise InputError("first_candidate must begin with 0, also where there are no orders")
        _raise_where("first_candidate", first, np.diff(first, prepend=0) < 0, "it must never fall")
        if first[-1] != len(driver):
            raise InputError(
                f"first_candidate ends with {first[-1]}: it must end with the {len(driver)} candidates"
            )
        if len(costs) != len(driver):
            raise InputError(
                f"cost has {len(costs)} rows and candidate_driver {len(driver)}: they must be as many"
            )
        outside = (driver < 0) | (driver >= num_drivers)
        _raise_where("candidate_driver", driver, outside, f"drivers are 0 to {num_drivers - 1}")
        _raise_where("cost", costs, costs < 0, "it must not be negative; add the same amount to all costs")
        places = None if capacity is None else _places(capacity, int(num_drivers))
        return cls(first.astype(INDEX_DTYPE), driver.astype(INDEX_DTYPE), costs, int(num_drivers), places)


def _costs(values: Any) -> NDArray[Any]:
    """Copy to int32, int64 or float64; raise unless these are finite numbers in one dimension."""
    array = np.asarray(values)
    if array.ndim == 1 and np.issubdtype(array.dtype, np.floating):
        floats = array.astype(np.float64)
        _raise_where(
            "cost", floats, ~np.isfinite(floats), "it must be finite; leave out a pair that is forbidden"
        )
        return floats
    return array.copy() if array.dtype == np.int32 and array.ndim == 1 else _integers("cost", array)


def _places(values: Any, num_drivers: int) -> NDArray[np.int32]:
    """Check capacities and copy them."""
    places = _integers("capacity", values)
    if len(places) != num_drivers:
        raise InputError(
            f"capacity has {len(places)} rows: it must have one for each of {num_drivers} drivers"
        )
    most = np.iinfo(INDEX_DTYPE).max
    _raise_where("capacity", places, (places < 0) | (places > most), f"it must be 0 to {most}")
    return places.astype(INDEX_DTYPE)


def _integers(name: str, values: Any) -> NDArray[np.int64]:
    """Copy to int64; raise unless these are integers in one dimension."""
    array = np.asarray(values)
    if array.ndim != 1:
        raise InputError(f"{name} has the shape {array.shape}: it must have one dimension")
    if len(array) > 0 and not np.issubdtype(array.dtype, np.integer):
        raise InputError(
            f"{name} holds {array.dtype}: it must hold integers; round fractions to a finer unit"
        )
    if array.dtype == np.uint64:
        _raise_where(name, array, array > np.iinfo(np.int64).max, "it must fit in int64")
    return array.astype(np.int64)


def _raise_where(name: str, values: NDArray[Any], wrong: NDArray[np.bool_], rule: str) -> None:
    """Raise for the first row that is wrong."""
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(f"{name}[{row}] is {values[row]}: {rule}")
