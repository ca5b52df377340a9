"""Why an order was given to its driver, in the words of the business: tier, complaints, score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from dispatch.crm.context import Context, check_instant
from dispatch.crm.coupling.dispatch_inputs import PERMILLE
from dispatch.crm.fleet.scores import ScoreExplained, score_explained_in
from dispatch.crm.tables.orders import order_priority
from dispatch.engine.explanations import Explanation
from dispatch.units import NO_VALUE


@dataclass(frozen=True)
class PriorityTerms:
    """What an order's weight was made of, in units of an ordinary order's."""

    tier: str
    tier_weight: float
    complaint_bonus: float
    prebooked_bonus: float
    weight: float
    """the sum, capped"""

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
        return f"priority {self.weight:g}: {' + '.join(parts)}{capped}"


@dataclass(frozen=True)
class ExplainedOrder:
    """The engine's explanation, and what stands behind its numbers."""

    engine: Explanation
    priority: PriorityTerms | None
    """None where the engine was told none, see :meth:`DispatchInputs.of_orders`"""
    score: ScoreExplained | None
    """of the driver chosen, as it is now; None without a driver"""

    def __str__(self) -> str:
        """Tell it in a few lines."""
        lines = [str(self.engine)]
        if self.priority is not None:
            lines.append(str(self.priority))
        if self.score is not None:
            lines.append(_score_in_words(self.score))
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Give all of it as plain numbers and lists, for JSON."""
        return {
            "engine": self.engine.to_dict(),
            "priority": None if self.priority is None else vars(self.priority).copy(),
            "score": None
            if self.score is None
            else vars(self.score) | {"parts": [vars(part).copy() for part in self.score.parts]},
        }


def explain(context: Context, explanation: Explanation, at_ms: int) -> ExplainedOrder:
    """Put what the CRM told the engine beside the engine's explanation of an order.

    Parameters
    ----------
    context : Context
    explanation : Explanation
        As :meth:`dispatch.Dispatcher.explain` gives it.
    at_ms : int
        The driver's score is told as of this instant.
    """
    check_instant("at_ms", at_ms)
    with context.looking("order.explain", ("order", explanation.order_id)) as connection:
        row = connection.execute(
            sa.select(order_priority).where(order_priority.c.order_id == explanation.order_id)
        ).one_or_none()
        score = None
        if explanation.driver_id != NO_VALUE:
            score = score_explained_in(connection, context.vertical.score, explanation.driver_id, at_ms)
    if row is None:
        return ExplainedOrder(explanation, None, score)
    tiers = context.vertical.tiers
    terms = PriorityTerms(
        tiers[min(row.tier, len(tiers) - 1)].name,
        row.tier_permille / PERMILLE,
        row.complaint_permille / PERMILLE,
        row.prebooked_permille / PERMILLE,
        row.priority / PERMILLE,
    )
    return ExplainedOrder(explanation, terms, score)


def _score_in_words(score: ScoreExplained) -> str:
    if not score.judged:
        return f"driver {score.driver_id} is not judged: {score.trips} of {score.min_trips} trips are needed"
    lost = [f"{part.lost:.2f} by {part.name}" for part in score.parts if part.lost >= 0.005]
    return f"driver {score.driver_id} scores {score.score:.2f} of 1" + (
        f"; loses {', '.join(lost)}" if lost else ""
    )
