"""The CRM: an engine's events into the database, beside SQLAlchemy's ORM on the same tables."""

import itertools
import shutil
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from benchmarks.crm_orm import OrmLog, map_classes
from benchmarks.harness import OURS, Case, Table, Work, WrongAnswerError
from dispatch import synthetic_scenario
from dispatch.crm.crm import Crm
from dispatch.crm.tables import orders as tables
from dispatch.engine.events import EventKind
from dispatch.sim.behaving import with_behaviour
from dispatch.sim.behaviour import Behaviour
from dispatch.sim.runner import run
from dispatch.units import NO_VALUE

SUMMARY = "an engine's events applied to the CRM's tables"
PACKAGES = ("sqlalchemy",)
ORM = "SQLAlchemy ORM"
BATCHES = (300, 1_500, 10_000)
SHIFT = 10**7
"""Each call has orders of its own."""


def day_of_events(tiny):
    """A simulated day's log; people as they are."""
    size = (120, 10) if tiny else (1_200, 60)
    day = synthetic_scenario(3, *size)
    return run(with_behaviour(replace(day, behaviour=Behaviour()))).events


class Databases:
    """Fresh databases in a folder, and the calls that fill them."""

    def __init__(self, events, folder):
        self.events, self.folder = events, folder
        self.with_order = events["order_id"] != NO_VALUE
        self.number = itertools.count()
        self.dropped = events[events["kind"] == EventKind.DROPPED_OFF]
        self.of = {name: Crm.create(folder / f"{name}.db", keys=folder / "keys") for name in ("ours", "orm")}

    def named(self, number):
        """The log with ids of its own."""
        events = self.events.copy()
        events["order_id"][self.with_order] += number * SHIFT
        return events

    def ours(self, size):
        number = next(self.number)
        events, crm = self.named(number), self.of["ours"]
        for first in range(0, len(events), size):
            crm.events.apply(events[first : first + size], first_seq=first, stream=f"day-{number}")
        return "ours", number

    def orm(self, size):
        number = next(self.number)
        events, crm = self.named(number), self.of["orm"]
        log = OrmLog(crm.context.database.engine, number)
        for first in range(0, len(events), size):
            log.apply(events[first : first + size])
        return "orm", number

    def check(self, _name, answer):
        """The trips are those of the log, and every event is in the log of stages."""
        kind, number = answer
        with self.of[kind].context.database.reading() as connection:
            mine = tables.trip.c.order_id.between(number * SHIFT, (number + 1) * SHIFT - 1)
            num, cents = connection.execute(
                sa.select(sa.func.count(), sa.func.sum(tables.trip.c.fare_cents)).where(mine)
            ).one()
            num_stages = connection.execute(
                sa.select(sa.func.count()).select_from(tables.order_stage)
            ).scalar_one()
        wanted = (len(self.dropped), int(self.dropped["fare_cents"].sum()))
        if (num, int(cents or 0)) != wanted or num_stages % len(self.events):
            raise WrongAnswerError(f"trips and cents are {(num, cents)}, they must be {wanted}")


def work_of(databases, size):
    """One instance: the whole day, told in batches; times are told for 1,000 events."""
    thousands = len(databases.events) / 1000
    return Work(
        partial(databases.ours, size),
        {ORM: partial(databases.orm, size)},
        databases.check,
        units={OURS: thousands, ORM: thousands},
    )


def measure(report):
    map_classes()
    events = day_of_events(report.tiny)
    folder = Path(tempfile.mkdtemp())
    try:
        databases = Databases(events, folder)
        rows = []
        for size in BATCHES:
            case = Case(f"1,000 events, SQLite, batches of {size:,}", [partial(work_of, databases, size)])
            rows.append((size, report.compare(case)))
        report.note(
            f"{len(events):,} events of a simulated day; each batch is one durable transaction (FULL)"
        )
        lines = [
            (f"{size:,}", f"{1e6 / row['ours_ms']:,.0f}", f"{1e6 / row['best_peer_ms']:,.0f}")
            for size, row in rows
            if row and row.get("best_peer_ms")
        ]
        report.table(Table("Events a second", ("batches of", "ours", ORM), lines))
        for crm in databases.of.values():
            crm.close()
    finally:
        shutil.rmtree(folder)
