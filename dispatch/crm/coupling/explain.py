"""Why an order was given to its driver, in the words of the business: tier, complaints, score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from dispatch.crm.context import Context, check_instant
from dispatch.crm.coupling.dispatch_inputs import PERMILLE
from dispatch.crm.fleet.scores import ScoreExplained, score_explained_in
from dispatch.crm.shops.deliveries import readiness_in
from dispatch.crm.tables.orders import order_priority
from dispatch.engine.explanations import Explanation
from dispatch.units import MS_PER_S, NO_VALUE


@dataclass(frozen=True)
class PriorityTerms:
    """What an order's weight was made of, in units of an ordinary order's."""

    tier: str
    tier_weight: float
    complaint_bonus: float
    prebooked_bonus: float
    weight: float
    """the sum, capped"""
    free_upgrade: bool
    """the tier entitles to a better class of car at the ordinary price, by the rules as they are now"""

    @property
    def is_capped(self) -> bool:
        """Whether the sum was above the cap."""
        return self.weight < self.tier_weight + self.complaint_bonus + self.prebooked_bonus

    def __str__(self) -> str:
        """Tell it in a line."""
        parts = [f"{self.tier_weight:g} by the tier {self.tier}"]
        if self.complaint_bonus:
            parts.append(f"{self.complaint_bonus:g} by complaints that were upheld")
        if self.prebooked_bonus:
            parts.append(f"{self.prebooked_bonus:g} because it was booked ahead")
        capped = ", capped" if self.is_capped else ""
        upgrade = "; a better class of car at no charge" if self.free_upgrade else ""
        return f"priority {self.weight:g}: {' + '.join(parts)}{capped}{upgrade}"


@dataclass(frozen=True)
class ReadinessTerms:
    """When an order is ready for its courier, and of what that is made."""

    ready_at_ms: int
    """when it was, or is expected to be"""
    preparation_ms: int
    """as estimated when it was placed"""
    delay_ms: int
    """as much later as is usual for the merchant; less than 0: sooner"""

    def __str__(self) -> str:
        """Tell it in a line."""
        late, made_s = "sooner" if self.delay_ms < 0 else "later", self.preparation_ms / MS_PER_S
        return (
            f"ready at {self.ready_at_ms}: estimated to take {made_s:.0f} s, the merchant is usually "
            f"{abs(self.delay_ms) / MS_PER_S:.0f} s {late}"
        )


@dataclass(frozen=True)
class ExplainedOrder:
    """The engine's explanation, and what stands behind its numbers."""

    engine: Explanation
    priority: PriorityTerms | None
    """None where the engine was told none, see :meth:`DispatchInputs.of_orders`"""
    score: ScoreExplained | None
    """of the driver chosen, as it is now; None without a driver"""
    readiness: ReadinessTerms | None = None
    """as it is known now; None where no merchant prepares the order"""

    def __str__(self) -> str:
        """Tell it in a few lines."""
        lines = [str(self.engine)]
        if self.priority is not None:
            lines.append(str(self.priority))
        if self.score is not None:
            lines.append(_score_in_words(self.score))
        if self.readiness is not None:
            lines.append(str(self.readiness))
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Give all of it as plain numbers and lists, for JSON."""
        return {
            "engine": self.engine.to_dict(),
            "priority": None if self.priority is None else vars(self.priority).copy(),
            "score": None
            if self.score is None
            else vars(self.score) | {"parts": [vars(part).copy() for part in self.score.parts]},
            "readiness": None if self.readiness is None else vars(self.readiness).copy(),
        }


def explain(context: Context, explanation: Explanation, at_ms: int) -> ExplainedOrder:
    """Put what the CRM told the engine beside the engine's explanation of an order.

    Parameters
    ----------
    context : Context
    explanation : Explanation
        As :meth:`dispatch.Dispatcher.explain` gives it.
    at_ms : int
        The driver's score, and when an order is ready, are told as of this instant.
    """
    check_instant("at_ms", at_ms)
    with context.looking("order.explain", ("order", explanation.order_id)) as connection:
        row = connection.execute(
            sa.select(order_priority).where(order_priority.c.order_id == explanation.order_id)
        ).one_or_none()
        score = None
        if explanation.driver_id != NO_VALUE:
            score = score_explained_in(connection, context.vertical.score, explanation.driver_id, at_ms)
        readiness = _readiness_in(connection, explanation.order_id, at_ms)
    if row is None:
        return ExplainedOrder(explanation, None, score, readiness)
    tiers = context.vertical.tiers
    tier = tiers[min(row.tier, len(tiers) - 1)]
    terms = PriorityTerms(
        tier.name,
        row.tier_permille / PERMILLE,
        row.complaint_permille / PERMILLE,
        row.prebooked_permille / PERMILLE,
        row.priority / PERMILLE,
        tier.free_upgrade,
    )
    return ExplainedOrder(explanation, terms, score, readiness)


def _readiness_in(connection: sa.Connection, order_id: int, at_ms: int) -> ReadinessTerms | None:
    found = readiness_in(connection, [order_id], at_ms)
    if found.ready_at_ms[0] == NO_VALUE or found.is_cancelled[0]:
        return None
    return ReadinessTerms(int(found.ready_at_ms[0]), int(found.preparation_ms[0]), int(found.delay_ms[0]))


def _score_in_words(score: ScoreExplained) -> str:
    if not score.judged:
        return f"driver {score.driver_id} is not judged: {score.trips} of {score.min_trips} trips are needed"
    lost = [f"{part.lost:.2f} by {part.name}" for part in score.parts if part.lost >= 0.005]
    return f"driver {score.driver_id} scores {score.score:.2f} of 1" + (
        f"; loses {', '.join(lost)}" if lost else ""
    )
