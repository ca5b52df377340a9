"""Why orders were given to the drivers that they have: kept for the latest, told on request."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import StateError
from dispatch.units import MS_PER_S, NO_INDEX, NO_VALUE

MOST_CANDIDATES: Final = 100
"""Of an order's candidates the cheapest are kept, and the one chosen."""
_TERMS: Final = {
    "pickup": "eta_ms",
    "risk": "risk_cost_ms",
    "quality": "quality_cost_ms",
    "income": "income_cost_ms",
    "pair": "pair_cost_ms",
    "weight": "weight_cost_ms",
    "change": "change_cost_ms",
}
"""What a cost is made of."""
_MOST_TOLD: Final = 5
"""Of the drivers who were nearer or cheaper."""


class Weighing(NamedTuple):
    """How much it counted to leave an order unserved."""

    weight: float
    base: float
    is_told: bool
    factor: float
    is_capped: bool
    is_starving: bool


class Asked(NamedTuple):
    """Which cars suit an order."""

    vehicle_class: int
    may_upgrade: bool


@dataclass(frozen=True)
class Reasons:
    """What a window's matching was decided by. Candidates of an order lie as in its ``CandidateSet``."""

    now_ms: int
    order_id: NDArray[np.int64]
    """(orders,)"""
    is_told: NDArray[np.bool_]
    """(orders,) the window says something about it: it is open, or changes its driver"""
    chosen: NDArray[np.int32]
    """(orders,) candidate, ``NO_INDEX`` for none"""
    weighing: list[Weighing]
    """of each order"""
    asked: list[Asked]
    """by each order"""
    first_candidate: NDArray[np.int32]
    """(orders + 1,)"""
    terms: NDArray[np.int32]
    """(7, candidates) pickup ETA and costs of risk, quality, income, pair, weight, a change of drivers; ms"""
    driver_id: NDArray[np.int64]
    """(candidates,)"""
    car_class: NDArray[np.int32]
    """(candidates,)"""
    given_to: NDArray[np.int64]
    """(candidates,) order that the driver was given to or stays with, ``NO_VALUE`` if it stays free"""


class _Kept(NamedTuple):
    """Of one order, the candidates by cost."""

    at_ms: int
    place: int
    """of the chosen one, ``NO_INDEX`` for none"""
    num_considered: int
    weighing: Weighing
    asked: Asked
    terms: NDArray[np.int32]
    of_driver: NDArray[np.int64]
    """(3, candidates) its id, the class of its car, the order that it was given to"""


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why an order has the driver that it has, or has none yet. Costs are milliseconds of pickup time."""

    order_id: int
    at_ms: int
    """when it was matched"""
    driver_id: int
    """the one chosen, ``NO_VALUE`` if there was none"""
    weight: float
    """of leaving the order unserved; 1 where the policy does not weigh people"""
    base_weight: float
    """the order's own priority, or the weight of its tier"""
    is_priority_told: bool
    """the former"""
    patience_factor: float
    """by which the wait has made it grow"""
    is_capped: bool
    """``Policy.priority_cap`` kept it from growing larger"""
    is_starving: bool
    """it had waited past the bound, and came before all others whatever their weights"""
    vehicle_class: int
    """that the order asks for"""
    may_upgrade: bool
    """it may ride in a car of a better one, as it was told"""
    num_considered: int
    """how many candidates there were; the arrays hold the 100 cheapest and the one chosen, by cost"""
    candidate_driver_id: NDArray[np.int64]
    """(candidates,)"""
    eta_ms: NDArray[np.int32]
    """(candidates,) pickup ETA"""
    risk_cost_ms: NDArray[np.int32]
    """(candidates,) of a promise that may be missed"""
    quality_cost_ms: NDArray[np.int32]
    """(candidates,) of a low score"""
    income_cost_ms: NDArray[np.int32]
    """(candidates,) of a driver who earns much already"""
    pair_cost_ms: NDArray[np.int32]
    """(candidates,) of two who had better not meet"""
    weight_cost_ms: NDArray[np.int32]
    """(candidates,) what all of these cost more because the order is heavy: ``Policy.pickup_weight``"""
    change_cost_ms: NDArray[np.int32]
    """(candidates,) of taking the order from its driver"""
    car_class: NDArray[np.int64]
    """(candidates,) class of the driver's car, 0 where it is not known"""
    given_to: NDArray[np.int64]
    """(candidates,) order that the driver was given to or stayed with, ``NO_VALUE`` if it stayed free"""

    @property
    def is_upgraded(self) -> bool:
        """Whether the driver chosen has a car of a better class than the order asks for."""
        row = self._chosen()
        return row != NO_INDEX and int(self.car_class[row]) > self.vehicle_class

    @property
    def cost(self) -> NDArray[np.int64]:
        """(candidates,) what the matching counted: the sum of the terms."""
        terms = np.stack([getattr(self, name) for name in _TERMS.values()])
        total: NDArray[np.int64] = terms.sum(axis=0, dtype=np.int64)
        return total

    def shares(self) -> dict[str, float]:
        """Give the share of each term in the cost of the driver chosen; they add up to 1.

        Raises
        ------
        StateError
            No driver was chosen.
        """
        row = self._chosen()
        if row == NO_INDEX:
            raise StateError(
                f"order {self.order_id} got no driver at {self.at_ms}: there is no cost to share out"
            )
        total = int(self.cost[row])
        if total == 0:
            return {name: float(name == "pickup") for name in _TERMS}
        return {name: int(getattr(self, column)[row]) / total for name, column in _TERMS.items()}

    def to_dict(self) -> dict[str, Any]:
        """Give all of it as plain numbers and lists, for JSON."""
        told = {
            name: values.tolist() if isinstance(values, np.ndarray) else values
            for name, values in vars(self).items()
        }
        is_chosen = self._chosen() != NO_INDEX
        shares = self.shares() if is_chosen else None
        return told | {"cost": self.cost.tolist(), "shares": shares, "is_upgraded": self.is_upgraded}

    def __str__(self) -> str:
        """Tell it in a few lines."""
        row, cost = self._chosen(), self.cost
        lines = [f"order {self.order_id} at {self.at_ms}: {self._weight_in_words()}"]
        if row == NO_INDEX:
            lines.append(f"no driver was chosen of {self.num_considered} considered")
            rivals = np.arange(len(cost))
        else:
            made_of = ", ".join(f"{share:.0%} {name}" for name, share in self.shares().items() if share)
            lines.append(
                f"driver {self.driver_id} is {_seconds(self.eta_ms[row])} away, costs {_seconds(cost[row])} "
                f"({made_of}); {self.num_considered} considered"
            )
            if self.is_upgraded:
                entitled = ", to which it is entitled" if self.may_upgrade else ""
                lines.append(
                    f"the car is of class {self.car_class[row]}, the order asks for {self.vehicle_class}: an "
                    f"upgrade{entitled}"
                )
            rivals = np.flatnonzero((cost < cost[row]) | (self.eta_ms < self.eta_ms[row]))
        lines += [self._rival_in_words(rival, row) for rival in rivals[:_MOST_TOLD].tolist()]
        if len(rivals) > _MOST_TOLD:
            lines.append(f"and {len(rivals) - _MOST_TOLD} more")
        return "\n".join(lines)

    def _chosen(self) -> int:
        """Give the row of the driver chosen, ``NO_INDEX`` for none."""
        row = np.flatnonzero(self.candidate_driver_id == self.driver_id)
        return int(row[0]) if self.driver_id != NO_VALUE else NO_INDEX

    def _weight_in_words(self) -> str:
        if self.is_starving:
            return "it has waited past the bound and comes before all who began to wait later"
        what = "its own priority" if self.is_priority_told else "its tier"
        grown = f", {self.patience_factor:.2f} times by its wait" if self.patience_factor != 1 else ""
        capped = ", capped" if self.is_capped else ""
        return f"weight {self.weight:g} ({self.base_weight:g} by {what}{grown}{capped})"

    def _rival_in_words(self, rival: int, row: int) -> str:
        """Say of a candidate how it compares with the one in a row, and where it went."""
        who, went = f"driver {self.candidate_driver_id[rival]}", int(self.given_to[rival])
        where = "stayed free" if went == NO_VALUE else f"went to order {went}"
        if row == NO_INDEX:
            return f"{who} was {_seconds(self.eta_ms[rival])} away and {where}"
        nearer_ms = int(self.eta_ms[row]) - int(self.eta_ms[rival])
        words = [f"{_seconds(abs(nearer_ms))} {'nearer' if nearer_ms >= 0 else 'farther'}"]
        for name, column in list(_TERMS.items())[1:]:
            more_ms = int(getattr(self, column)[rival]) - int(getattr(self, column)[row])
            if more_ms:
                words.append(f"{_seconds(abs(more_ms))} {'dearer' if more_ms > 0 else 'cheaper'} by {name}")
        return f"{who} was {', '.join(words)} and {where}"


class Explanations:
    """The latest explanation of each of the orders matched latest."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, _Kept] = OrderedDict()

    def __len__(self) -> int:
        """Count them."""
        return len(self._kept)

    def keep(self, reasons: Reasons, most: int) -> None:
        """Keep what a window says of its orders, and forget the oldest beyond so many."""
        told, first = np.flatnonzero(reasons.is_told)[-most:], reasons.first_candidate
        order_of_candidate = np.repeat(np.arange(len(first) - 1), np.diff(first))
        # All at one go: an argsort and three look-ups an order took 1.6 times as long.
        by_cost = np.lexsort((reasons.terms.sum(axis=0, dtype=np.int64), order_of_candidate))
        row_of_candidate = np.empty(len(by_cost), np.int64)
        row_of_candidate[by_cost] = np.arange(len(by_cost))
        terms = reasons.terms[:, by_cost]
        of_driver = np.stack([reasons.driver_id, reasons.car_class, reasons.given_to])[:, by_cost]
        bounds, ids, chosen = first.tolist(), reasons.order_id.tolist(), reasons.chosen.tolist()
        for order in told.tolist():
            begin, end = bounds[order], bounds[order + 1]
            rows: slice | NDArray[np.int64] = slice(begin, min(end, begin + MOST_CANDIDATES))
            place = NO_INDEX
            if chosen[order] != NO_INDEX:
                place = int(row_of_candidate[chosen[order]]) - begin
                if place >= MOST_CANDIDATES:
                    rows = np.append(np.arange(begin, begin + MOST_CANDIDATES), begin + place)
                    place = MOST_CANDIDATES
            self._kept.pop(ids[order], None)
            self._kept[ids[order]] = _Kept(
                reasons.now_ms,
                place,
                end - begin,
                reasons.weighing[order],
                reasons.asked[order],
                terms[:, rows].copy(),
                of_driver[:, rows].copy(),
            )
        while len(self._kept) > most:
            self._kept.popitem(last=False)

    def of(self, order_id: int) -> Explanation | None:
        """Give the explanation of an order, None where there is none."""
        kept = self._kept.get(order_id)
        if kept is None:
            return None
        weighing = kept.weighing
        eta_ms, risk_ms, quality_ms, income_ms, pair_ms, weight_ms, change_ms = kept.terms.copy()
        driver_id, car_class, given_to = kept.of_driver.copy()
        return Explanation(
            order_id,
            kept.at_ms,
            NO_VALUE if kept.place == NO_INDEX else int(driver_id[kept.place]),
            weighing.weight,
            weighing.base,
            weighing.is_told,
            weighing.factor,
            weighing.is_capped,
            weighing.is_starving,
            *kept.asked,
            kept.num_considered,
            driver_id,
            eta_ms,
            risk_ms,
            quality_ms,
            income_ms,
            pair_ms,
            weight_ms,
            change_ms,
            car_class,
            given_to,
        )


def _seconds(ms: int) -> str:
    return f"{int(ms) / MS_PER_S:.0f} s"
