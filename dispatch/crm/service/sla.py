"""Clocks of complaints: by when one is answered and resolved, and how well that was kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from dispatch.crm.rules import SlaRule
from dispatch.crm.tables.service import complaint
from dispatch.crm.vertical import Vertical
from dispatch.store import bulk
from dispatch.units import MS_PER_S


@dataclass(frozen=True)
class Clock:
    """How long after its filing a complaint is due."""

    respond_ms: int
    resolve_ms: int


@dataclass(frozen=True)
class SlaFigures:
    """How well clocks were kept, of the complaints filed in a window.

    A complaint counts for a clock once it was met or missed: one that is not due yet counts for neither. The
    second clock rests while the customer is waited for.
    """

    num_filed: int
    num_open: int
    respond_kept: float | None
    """share; None where nothing counts yet"""
    resolve_kept: float | None
    respond_p50_ms: int | None
    """from filing to the first response, of those that were answered"""
    respond_p90_ms: int | None
    resolve_p50_ms: int | None
    """from filing to the verdict, without waiting for the customer, of those that were resolved"""
    resolve_p90_ms: int | None
    num_upheld: int
    num_rejected: int
    num_withdrawn: int


def clock(vertical: Vertical, severity: int, tier: str | None) -> Clock:
    """Give the clock of a complaint: by the most severe rule that fits, or the tier's where it is sooner.

    A rule for a tier never makes a complaint wait longer than it would without the tier.
    """
    fits = [rule for rule in vertical.sla if rule.least_severity <= severity]
    for_all = max((rule for rule in fits if not rule.tiers), key=_severity)
    own = max((rule for rule in fits if tier in rule.tiers), key=_severity, default=for_all)
    return Clock(
        min(for_all.first_response_s, own.first_response_s) * MS_PER_S,
        min(for_all.resolve_s, own.resolve_s) * MS_PER_S,
    )


def figures_in(
    connection: sa.Connection, scope_id: int, from_ms: int, until_ms: int, at_ms: int
) -> SlaFigures:
    """Give the figures of a place's complaints that were filed in a window, as they stand at an instant."""
    told = complaint.c
    filed, respond_by, resolve_by, responded, resolved, waited, waits_since, verdict = bulk.fetch(
        connection,
        sa.select(
            told.filed_at_ms,
            told.respond_by_ms,
            told.resolve_by_ms,
            told.responded_at_ms,
            told.resolved_at_ms,
            told.waited_ms,
            told.waiting_since_ms,
            sa.case(
                (told.verdict == "upheld", 0),
                (told.verdict == "rejected", 1),
                (told.verdict == "withdrawn", 2),
                else_=-1,
            ),
        ).where(told.scope_id == scope_id, told.filed_at_ms >= from_ms, told.filed_at_ms < until_ms),
    )
    resolve_by += np.where(waits_since >= 0, np.maximum(at_ms - waits_since, 0), 0)
    responding, resolving = responded[responded >= 0] - filed[responded >= 0], resolved - filed - waited
    resolving = resolving[resolved >= 0]
    return SlaFigures(
        len(filed),
        int((resolved < 0).sum()),
        _kept(responded, respond_by, at_ms),
        _kept(resolved, resolve_by, at_ms),
        _quantile(responding, 0.5),
        _quantile(responding, 0.9),
        _quantile(resolving, 0.5),
        _quantile(resolving, 0.9),
        *(int((verdict == row).sum()) for row in range(3)),
    )


def _severity(rule: SlaRule) -> int:
    return rule.least_severity


def _kept(done: NDArray[np.int64], due: NDArray[np.int64], at_ms: int) -> float | None:
    counts = (done >= 0) | (due < at_ms)
    return float(((done >= 0) & (done <= due))[counts].mean()) if counts.any() else None


def _quantile(values: NDArray[np.int64], share: float) -> int | None:
    return int(np.quantile(values, share, method="lower")) if len(values) else None
