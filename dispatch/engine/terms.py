"""What is known of drivers as people, in numbers: all that the engine ever learns of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from dispatch.engine.inputs import as_new_ids, as_whole_in
from dispatch.engine.vehicles import ALL_SKILLS
from dispatch.units import MS_PER_S

MAX_COST_MS: Final = 3600 * MS_PER_S
"""A driver who costs more would better not be eligible."""


@dataclass(frozen=True)
class DriverTerms:
    """Costs and eligibility of drivers: one row a driver; a single number serves every row.

    Parameters
    ----------
    driver_id : (n,) int64
        The caller's names, not negative, each at most once.
    quality_cost_ms : (n,) int64
        What a low score costs, as pickup time: 0 … 3,600,000.
    income_cost_ms : (n,) int64
        The term of fairness: what it costs to give more to those who earn most, likewise.
    eligible : (n,) int64
        1 where the driver gets orders, 0 where it gets no new ones.
    skills : (n,) int64
        Bits 0 … 15 of trainings and permits that the driver holds; by default all.
    """

    driver_id: Any
    quality_cost_ms: Any = 0
    income_cost_ms: Any = 0
    eligible: Any = 1
    skills: Any = ALL_SKILLS

    def checked(self) -> DriverTerms:
        """Give the same with every array read and checked; :class:`InputError` otherwise."""
        ids = as_new_ids("driver_id", self.driver_id)
        return DriverTerms(
            ids,
            as_whole_in("quality_cost_ms", self.quality_cost_ms, len(ids), 0, MAX_COST_MS),
            as_whole_in("income_cost_ms", self.income_cost_ms, len(ids), 0, MAX_COST_MS),
            as_whole_in("eligible", self.eligible, len(ids), 0, 1),
            as_whole_in("skills", self.skills, len(ids), 0, ALL_SKILLS),
        )
