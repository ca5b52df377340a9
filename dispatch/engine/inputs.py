"""What callers hand in, checked as a whole before anything is applied; columns are (n,)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.engine.vehicles import ALL_SKILLS, MAX_CLASSES
from dispatch.errors import InputError
from dispatch.kernels.checks import first_outside
from dispatch.units import LATEST_MS, MS_PER_DAY, NO_INDEX

_LARGEST: Final = int(np.iinfo(np.int64).max)


IDS: Final = np.dtype(np.int64)
DEGREES: Final = np.dtype(np.float64)
NODES: Final = np.dtype(np.int32)
"""Types of columns as kernels take them; numpy has one object for each of its own types."""


def as_ids(field: str, values: ArrayLike) -> NDArray[np.int64]:
    """Read ids: whole numbers, not negative.

    Raises
    ------
    InputError
        Naming the field, the row and the value.
    """
    ids = as_whole(field, values)
    row = first_outside(ids, 0, _LARGEST)
    if row != NO_INDEX:
        raise InputError(f"{field}[{row}] is {ids[row]}: ids must not be negative")
    return ids


def as_new_ids(field: str, values: ArrayLike) -> NDArray[np.int64]:
    """Read ids of which none may stand twice."""
    ids = as_ids(field, values)
    in_order = np.sort(ids)
    twice = in_order[1:][in_order[1:] == in_order[:-1]]
    if len(twice):
        raise InputError(f"{field} holds {twice[0]} more than once: one row an id in each call")
    return ids


def is_plain(values: Any, dtype: np.dtype[Any]) -> TypeGuard[NDArray[Any]]:
    """Tell whether an array can be used as it is: the common case, found out at a tenth of the price.

    Kernels are compiled for contiguous, writable arrays; others would compile them a second time.
    """
    return type(values) is np.ndarray and values.dtype == dtype and values.ndim == 1 and values.flags.carray


def as_whole(field: str, values: ArrayLike) -> NDArray[np.int64]:
    """Read a one-dimensional array of whole numbers; a single number counts as one row."""
    if is_plain(values, IDS):
        return values
    try:
        array = np.atleast_1d(np.asarray(values))
    except ValueError as error:
        raise InputError(f"{field} is no array: its rows differ in length ({error})") from error
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        raise InputError(
            f"{field} is an array of {array.dtype} with shape {array.shape}: "
            "it must be one-dimensional and of whole numbers"
        )
    if array.dtype.kind == "u" and array.size and array.max() > np.iinfo(np.int64).max:
        raise InputError(f"{field}[{int(array.argmax())}] is {array.max()}: it must fit in int64")
    return np.require(array, np.int64, ["C", "W"])


def as_instants(field: str, values: ArrayLike, num_rows: int) -> NDArray[np.int64]:
    """Read instants in milliseconds since the epoch, one a row; a single number serves every row."""
    at_ms = as_rows(field, values, num_rows)
    row = first_outside(at_ms, -LATEST_MS, LATEST_MS)
    if row != NO_INDEX:
        raise InputError(
            f"{field}[{row}] is {at_ms[row]}: it must be milliseconds since 1970 and before 2200"
        )
    return at_ms


def as_instant(field: str, value: Any) -> int:
    """Read one instant in milliseconds since the epoch."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or abs(int(value)) > LATEST_MS:
        raise InputError(
            f"{field} is {value!r}: it must be a whole number of milliseconds since 1970 and before 2200"
        )
    return int(value)


def as_rows(field: str, values: ArrayLike, num_rows: int) -> NDArray[np.int64]:
    """Read whole numbers, one a row; a single number serves every row."""
    array = as_whole(field, values)
    if len(array) == 1 and num_rows != 1:
        array = np.full(num_rows, array[0])
    if len(array) != num_rows:
        raise InputError(f"{field} has {len(array)} rows where {num_rows} were expected: one row each")
    return array


def as_whole_in(field: str, values: ArrayLike, num_rows: int, low: int, high: int) -> NDArray[np.int64]:
    """Read whole numbers from `low` to `high`, one a row; a single number serves every row."""
    array = as_rows(field, values, num_rows)
    row = first_outside(array, low, high)
    if row != NO_INDEX:
        raise InputError(f"{field}[{row}] is {array[row]}: it must be a whole number from {low} to {high}")
    return array


def check_as_many(field: str, values: NDArray[Any], other_field: str, others: NDArray[Any]) -> None:
    """Refuse two fields that differ in their number of rows."""
    if len(values) != len(others):
        raise InputError(f"{field} has {len(values)} rows and {other_field} {len(others)}: one row each")


def as_numbers(field: str, values: ArrayLike, num_rows: int, low: float, high: float) -> NDArray[np.float64]:
    """Read finite numbers from `low` to `high`, one a row."""
    array = values
    if not is_plain(array, DEGREES):
        try:
            array = np.require(np.atleast_1d(np.asarray(values, np.float64)), requirements=["C", "W"])
        except (TypeError, ValueError) as error:
            raise InputError(f"{field} is not an array of numbers ({error})") from error
    if array.shape != (num_rows,):
        raise InputError(f"{field} has the shape {array.shape}: {num_rows} rows were expected")
    row = first_outside(array, float(low), float(high))
    if row != NO_INDEX:
        raise InputError(f"{field}[{row}] is {array[row]}: it must be a number from {low:g} to {high:g}")
    return array


def as_lonlat(
    prefix: str, lon: ArrayLike, lat: ArrayLike, num_rows: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read coordinates in degrees; a latitude that can only be a longitude is called swapped."""
    lon_deg = as_numbers(f"{prefix}lon", lon, num_rows, -180, 180)
    try:
        return lon_deg, as_numbers(f"{prefix}lat", lat, num_rows, -90, 90)
    except InputError as error:
        if np.all(np.abs(np.asarray(lat, np.float64)) <= 180) and np.all(np.abs(lon_deg) <= 90):
            raise InputError(f"{error}; longitude and latitude look swapped") from error
        raise


@dataclass(frozen=True)
class Positions:
    """Where drivers are: one row a driver.

    Parameters
    ----------
    driver_id : (n,) int64
        The caller's names, not negative, each at most once.
    lon, lat : (n,) float64
        Degrees, WGS84.
    at_ms : (n,) int64 or int
        Instants of the fixes; one number serves all.
    node : (n,) int32, optional
        Nearest nodes, for callers that match positions to the network themselves; else positions are snapped.
    """

    driver_id: Any
    lon: Any
    lat: Any
    at_ms: Any
    node: Any = None

    def checked(self, num_nodes: int) -> Positions:
        """Give the same with every array read and checked; :class:`InputError` otherwise."""
        ids = as_new_ids("driver_id", self.driver_id)
        lon, lat = as_lonlat("", self.lon, self.lat, len(ids))
        at_ms = as_instants("at_ms", self.at_ms, len(ids))
        return Positions(ids, lon, lat, at_ms, _as_nodes("node", self.node, len(ids), num_nodes))


ORDER_LIMITS: Final = {
    "customer_id": (-1, _LARGEST),
    "wanted_after_ms": (0, 7 * MS_PER_DAY),
    "tier": (0, 7),
    "is_first": (0, 1),
    "passengers": (1, 100),
    "vehicle_class": (0, MAX_CLASSES - 1),
    "priority": (1, 100_000),
    "patience_ms": (0, 7 * MS_PER_DAY),
    "skills": (0, ALL_SKILLS),
    "may_upgrade": (0, 1),
}
"""Optional columns of new orders, and what they may hold."""


@dataclass(frozen=True)
class NewDrivers:
    """Drivers and their cars: one row a driver.

    Parameters
    ----------
    driver_id : (n,) int64
        The caller's names, not negative, each at most once.
    vehicle_class : (n,) int64
        0 … 7, 0 the ordinary one.
    seats : (n,) int64
        For passengers, 1 … 100; more than 7 count as 7.
    """

    driver_id: Any
    vehicle_class: Any = 0
    seats: Any = 4

    def checked(self) -> NewDrivers:
        """Give the same with every array read and checked; :class:`InputError` otherwise."""
        ids = as_new_ids("driver_id", self.driver_id)
        vehicle_class = as_whole_in("vehicle_class", self.vehicle_class, len(ids), 0, MAX_CLASSES - 1)
        return NewDrivers(ids, vehicle_class, as_whole_in("seats", self.seats, len(ids), 1, 100))


@dataclass(frozen=True)
class NewOrders:
    """Orders to submit: one row an order.

    Parameters
    ----------
    order_id : (n,) int64
        The caller's names, not negative, each at most once, none of an order that is still known.
    pickup_lon, pickup_lat, dropoff_lon, dropoff_lat : (n,) float64
        Degrees, WGS84.
    submitted_at_ms : (n,) int64 or int
        When the customers asked; one number serves all.
    pickup_node, dropoff_node : (n,) int32, optional
        Nearest nodes, for callers that know them; else both ends are snapped.
    customer_id : (n,) int64, optional
        The caller's names of who asks; for the log alone.
    wanted_after_ms : (n,) int64, optional
        Time until the wanted pickup of an order booked ahead; 0 is at once.
    tier : (n,) int64, optional
        Membership tier of the customer, 0 … 7, 0 the lowest.
    is_first : (n,) int64, optional
        1 where it is the customer's first order ever, 0 elsewhere; for the log alone.
    passengers : (n,) int64, optional
        How many ride, 1 … 100; only cars with as many seats are candidates.
    vehicle_class : (n,) int64, optional
        Class of car that is asked for, 0 … 7, 0 the ordinary one.
    priority : (n,) int64, optional
        Weight of leaving the order unserved, permille of an ordinary one's, 1 … 100,000: in the place of its
        tier's, where the policy heeds weights (:attr:`dispatch.Policy.weighs_people`).
    patience_ms : (n,) int64, optional
        How long the customer is expected to wait; 0 where that is not known. ``Policy.patience_weight`` says
        what follows.
    skills : (n,) int64, optional
        Bits 0 … 15 of trainings and permits, all of which the driver must hold.
    may_upgrade : (n,) int64, optional
        1 where a car of a better class may serve as well, whatever :attr:`DispatchParams.upgrades` says; 0
        elsewhere.
    """

    order_id: Any
    pickup_lon: Any
    pickup_lat: Any
    dropoff_lon: Any
    dropoff_lat: Any
    submitted_at_ms: Any
    pickup_node: Any = None
    dropoff_node: Any = None
    customer_id: Any = None
    wanted_after_ms: Any = None
    tier: Any = None
    is_first: Any = None
    passengers: Any = None
    vehicle_class: Any = None
    priority: Any = None
    patience_ms: Any = None
    skills: Any = None
    may_upgrade: Any = None

    def checked(self, num_nodes: int) -> NewOrders:
        """Give the same with every array read and checked; :class:`InputError` otherwise."""
        ids = as_new_ids("order_id", self.order_id)
        pickup = as_lonlat("pickup_", self.pickup_lon, self.pickup_lat, len(ids))
        dropoff = as_lonlat("dropoff_", self.dropoff_lon, self.dropoff_lat, len(ids))
        at_ms = as_instants("submitted_at_ms", self.submitted_at_ms, len(ids))
        pickup_node = _as_nodes("pickup_node", self.pickup_node, len(ids), num_nodes)
        dropoff_node = _as_nodes("dropoff_node", self.dropoff_node, len(ids), num_nodes)
        told = {name: self._column(name, limits, len(ids)) for name, limits in ORDER_LIMITS.items()}
        return NewOrders(ids, *pickup, *dropoff, at_ms, pickup_node, dropoff_node, **told)

    def _column(self, name: str, limits: tuple[int, int], num_rows: int) -> NDArray[np.int64] | None:
        """Read an optional column of whole numbers within limits."""
        values = getattr(self, name)
        return None if values is None else as_whole_in(name, values, num_rows, *limits)

    def part(self, rows: slice) -> NewOrders:
        """Give some of the orders; what is told once for all of them goes on to be."""
        num_orders = len(as_ids("order_id", self.order_id))
        return NewOrders(*(_part_of(name, values, num_orders, rows) for name, values in vars(self).items()))

    def __len__(self) -> int:
        """Count the orders."""
        return len(np.atleast_1d(self.order_id))


def _part_of(name: str, values: Any, num_rows: int, rows: slice) -> Any:
    """Give some rows of a column; what is no column at all stays as it is, for others to refuse."""
    try:
        num_told = len(values)
    except TypeError:
        return values
    if num_told == num_rows:
        return values[rows]
    if num_told != 1 or name.endswith(("lon", "lat")):
        raise InputError(f"{name} has {num_told} rows where {num_rows} were expected: one row each")
    return values


def _as_nodes(field: str, values: Any, num_rows: int, num_nodes: int) -> NDArray[np.int32] | None:
    if values is None:
        return None
    nodes = as_rows(field, values, num_rows)
    row = first_outside(nodes, 0, num_nodes - 1)
    if row != NO_INDEX:
        raise InputError(f"{field}[{row}] is {nodes[row]}: the network's nodes are 0 … {num_nodes - 1}")
    return nodes.astype(np.int32)
