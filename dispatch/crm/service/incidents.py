"""Problems of the vertical's taxonomy, complained of or not, and how many a hundred customers have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from dispatch.crm.context import Context, check_instant
from dispatch.crm.people.sealed_texts import check_text, keep_text, open_text
from dispatch.crm.rules import check_one_of
from dispatch.crm.tables.orders import orders
from dispatch.crm.tables.service import complaint, incident
from dispatch.errors import InputError
from dispatch.limits import check_whole
from dispatch.store import bulk

SOURCES: Final = ("customer", "driver", "staff", "system")
MOST_PERIODS: Final = 10_000
_PERSONS: Final = ("customer_id", "driver_id", "merchant_id")


@dataclass(frozen=True)
class Problem:
    """What went wrong, and for whom; persons follow from the order where it is told.

    Parameters
    ----------
    code : str
        Of the vertical's taxonomy, which tells stage, party and severity.
    order_id, customer_id, driver_id, merchant_id : int, optional
    source : str
        Who says so: ``customer``, ``driver``, ``staff``, ``system``.
    note : str, optional
        Sealed under the key of the customer, or the driver's where there is none.
    """

    code: str
    order_id: int | None = None
    customer_id: int | None = None
    driver_id: int | None = None
    merchant_id: int | None = None
    source: str = "staff"
    note: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no vertical has."""
        check_one_of("source", self.source, SOURCES)
        if self.note is not None:
            check_text("note", self.note)


@dataclass(frozen=True)
class Incident:
    """A problem that was entered; the note is None where there is none, or the actor may not see it."""

    incident_id: int
    code: str
    stage: str
    severity: int
    source: str
    at_ms: int
    order_id: int | None
    customer_id: int | None
    driver_id: int | None
    merchant_id: int | None
    void_at_ms: int | None
    note: str | None = None


@dataclass(frozen=True)
class ProblemRates:
    """PP100 of a window: 100 × problems / customers who ordered in it."""

    num_customers: int
    num_orders: int
    num_problems: int
    total: float | None
    """None where nobody ordered"""
    by_stage: Mapping[str, float]
    by_code: Mapping[str, float]
    complaints_per_10000_orders: float | None


@dataclass(frozen=True)
class ProblemTrend:
    """PP100 of successive periods; arrays, -1 where nobody ordered."""

    begin_at_ms: NDArray[np.int64]
    """(periods,)"""
    stages: tuple[str, ...]
    pp100: NDArray[np.float64]
    """(stages, periods)"""


class Incidents:
    """Enters problems and counts them."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def report(self, told: Problem, *, at_ms: int, scope_id: int | None = None) -> int:
        """Enter a problem; gives the incident's id.

        Raises
        ------
        InputError
            The code is none of the vertical's, or neither an order nor a place is told.
        """
        check_code(self._context, told.code)
        if told.order_id is None and scope_id is None:
            raise InputError("order_id and scope_id are missing: one must tell where it happened")
        targets = () if told.order_id is None else (("order", told.order_id),)
        with self._context.acting(
            "incident.report", *targets, at_ms=at_ms, scope_id=scope_id, details={"code": told.code}
        ) as connection:
            return report_in(connection, self._context, told, at_ms, scope_id)

    def read(self, incident_id: int, *, at_ms: int) -> Incident:
        """Give a problem, with its note."""
        with self._context.acting("incident.read", ("incident", incident_id), at_ms=at_ms) as connection:
            row = connection.execute(sa.select(incident).where(incident.c.incident_id == incident_id)).one()
            note = None
            owner = _note_owner(row.customer_id, row.driver_id)
            if owner is not None:
                column = incident.c.note
                note = open_text(connection, self._context.vault, owner, column, incident_id, row.note)
            told = {name: row._mapping[name] for name in Incident.__annotations__ if name != "note"}
            return Incident(**told, note=note)

    def pp100(self, from_ms: int, until_ms: int, *, scope_id: int) -> ProblemRates:
        """Give problems per hundred customers of a place within a window, by stage and by code.

        A customer who ordered twice counts once. Withdrawn complaints, and problems that concern no customer,
        do not count; rejected complaints do, for the customer had a problem.
        """
        _check_window(from_ms, until_ms)
        with self._context.looking("incident.rates", scope_id=scope_id) as connection:
            within = (orders.c.submitted_at_ms >= from_ms, orders.c.submitted_at_ms < until_ms)
            customers, num_orders = connection.execute(
                sa.select(sa.func.count(sa.distinct(orders.c.customer_id)), sa.func.count()).where(
                    orders.c.scope_id == scope_id, *within
                )
            ).one()
            counted = connection.execute(
                sa.select(incident.c.stage, incident.c.code, sa.func.count())
                .where(*_counting(scope_id, from_ms, until_ms))
                .group_by(incident.c.stage, incident.c.code)
            ).all()
            filed = connection.execute(
                sa.select(sa.func.count()).where(
                    complaint.c.scope_id == scope_id,
                    complaint.c.filed_at_ms >= from_ms,
                    complaint.c.filed_at_ms < until_ms,
                )
            ).scalar_one()
        return self._rates(customers, num_orders, counted, filed)

    def trend(self, from_ms: int, until_ms: int, period_ms: int, *, scope_id: int) -> ProblemTrend:
        """Give PP100 by stage of the successive periods of a window, the last one cut at its end."""
        _check_window(from_ms, until_ms)
        check_whole("period_ms", period_ms, 1, until_ms - from_ms)
        num_periods = -((from_ms - until_ms) // period_ms)
        if num_periods > MOST_PERIODS:
            raise InputError(
                f"period_ms is {period_ms}: {num_periods} periods are too many, {MOST_PERIODS} at most"
            )
        begins = from_ms + period_ms * np.arange(num_periods, dtype=np.int64)
        stages = self._context.vertical.stages
        with self._context.looking("incident.rates", scope_id=scope_id) as connection:
            of_order = (orders.c.submitted_at_ms - from_ms) // period_ms
            period, customers = bulk.fetch(
                connection,
                sa.select(of_order, sa.func.count(sa.distinct(orders.c.customer_id)))
                .where(
                    orders.c.scope_id == scope_id,
                    orders.c.submitted_at_ms >= from_ms,
                    orders.c.submitted_at_ms < until_ms,
                )
                .group_by(of_order),
            )
            of_problem = (incident.c.at_ms - from_ms) // period_ms
            counted = connection.execute(
                sa.select(incident.c.stage, of_problem, sa.func.count())
                .where(*_counting(scope_id, from_ms, until_ms))
                .group_by(incident.c.stage, of_problem)
            ).all()
        num = np.zeros((len(stages), len(begins)))
        for stage, place, count in counted:
            if stage in stages:
                num[stages.index(stage), place] = count
        had = np.zeros(len(begins))
        had[period] = customers
        rates = np.full(num.shape, -1.0)
        np.divide(100 * num, had, out=rates, where=np.broadcast_to(had > 0, num.shape))
        return ProblemTrend(begins, stages, rates)

    def _rates(self, customers: int, num_orders: int, counted: Any, filed: int) -> ProblemRates:
        by_stage = dict.fromkeys(self._context.vertical.stages, 0)
        by_code: dict[str, int] = {}
        for stage, code, count in counted:
            by_stage[stage] = by_stage.get(stage, 0) + count
            by_code[code] = by_code.get(code, 0) + count
        total = sum(by_code.values())

        def rates(told: Mapping[str, int]) -> dict[str, float]:
            return {name: 100 * count / customers for name, count in told.items()} if customers else {}

        return ProblemRates(
            customers,
            num_orders,
            total,
            100 * total / customers if customers else None,
            rates(by_stage),
            rates(dict(sorted(by_code.items(), key=lambda one: (-one[1], one[0])))),
            10_000 * filed / num_orders if num_orders else None,
        )


def check_code(context: Context, code: str) -> None:
    """Raise :class:`InputError` unless a problem's code is one of the vertical's."""
    check_one_of("code", code, tuple(context.vertical.problem_named))


def report_in(
    connection: sa.Connection, context: Context, told: Problem, at_ms: int, scope_id: int | None
) -> int:
    """Enter a problem on a connection; gives the incident's id."""
    rule = context.vertical.problem_named[told.code]
    values: dict[str, Any] = {name: getattr(told, name) for name in _PERSONS}
    if told.order_id is not None:
        of = connection.execute(sa.select(orders).where(orders.c.order_id == told.order_id)).one()
        for name in _PERSONS:
            known = of._mapping[name]
            if known is not None and values[name] not in (None, known):
                raise InputError(f"{name} is {values[name]}: order {told.order_id} has another one")
            values[name] = known if values[name] is None else values[name]
        scope_id = of.scope_id if of.scope_id is not None else scope_id
        if at_ms < (of.submitted_at_ms or 0):
            raise InputError(
                f"at_ms is {at_ms}: time goes backwards, order {told.order_id} was submitted at "
                f"{of.submitted_at_ms}"
            )
    if scope_id is None:
        raise InputError(f"scope_id is missing: order {told.order_id} belongs to no place")
    added = connection.execute(
        sa.insert(incident).values(
            scope_id=scope_id,
            order_id=told.order_id,
            code=told.code,
            stage=rule.stage,
            severity=rule.severity,
            source=told.source,
            at_ms=at_ms,
            **values,
        )
    )
    made = int(added.inserted_primary_key[0])  # type: ignore[index]  # one row was inserted
    owner = _note_owner(values["customer_id"], values["driver_id"])
    if told.note is not None:
        if owner is None:
            raise InputError("note: whose key seals it? A customer or driver must be told")
        keep_text(connection, context.vault, owner, incident.c.note, made, told.note)
    return made


def _note_owner(customer_id: int | None, driver_id: int | None) -> tuple[str, int] | None:
    if customer_id is not None:
        return "customer", customer_id
    return None if driver_id is None else ("driver", driver_id)


def _counting(scope_id: int, from_ms: int, until_ms: int) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        incident.c.scope_id == scope_id,
        incident.c.at_ms >= from_ms,
        incident.c.at_ms < until_ms,
        incident.c.void_at_ms.is_(None),
        incident.c.customer_id.is_not(None),
    )


def _check_window(from_ms: int, until_ms: int) -> None:
    check_instant("from_ms", from_ms)
    check_instant("until_ms", until_ms)
    if until_ms <= from_ms:
        raise InputError(f"until_ms is {until_ms}: it must be after from_ms, {from_ms}")
