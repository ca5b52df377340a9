"""Interests: topics that customers ask to hear of, and telling them when there is something new."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from dispatch.crm.context import Context
from dispatch.crm.outbox import announce_many_in
from dispatch.crm.people.consents import agreeing_in
from dispatch.crm.people.persons import locked_in
from dispatch.crm.rules import check_name
from dispatch.crm.tables.engagement import care_sent, interest
from dispatch.crm.tables.people import customer


class Interests:
    """Keeps topics, and tells of them."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def ask(self, customer_id: int, topic: str, at_ms: int) -> bool:
        """Note that a customer asks to hear of a topic; tells whether that is new."""
        check_name("topic", topic)
        target, details = ("customer", customer_id), {"topic": topic}
        with self._context.acting("interest.change", target, at_ms=at_ms, details=details) as connection:
            locked_in(connection, "customer", customer_id)
            known = sa.select(interest.c.topic).where(
                interest.c.customer_id == customer_id, interest.c.topic == topic
            )
            if connection.execute(known).one_or_none() is not None:
                return False
            row = {"customer_id": customer_id, "topic": topic, "since_at_ms": at_ms}
            connection.execute(sa.insert(interest).values(**row))
            return True

    def drop(self, customer_id: int, topic: str, at_ms: int) -> bool:
        """Note that a customer asks to hear no more; tells whether they had asked to."""
        check_name("topic", topic)
        target, details = ("customer", customer_id), {"topic": topic}
        with self._context.acting("interest.change", target, at_ms=at_ms, details=details) as connection:
            gone = sa.delete(interest).where(interest.c.customer_id == customer_id, interest.c.topic == topic)
            return connection.execute(gone).rowcount > 0

    def of(self, customer_id: int) -> list[str]:
        """Give a customer's topics, by name."""
        with self._context.looking("interest.read", ("customer", customer_id)) as connection:
            wanted = sa.select(interest.c.topic).where(interest.c.customer_id == customer_id)
            return sorted(connection.execute(wanted).scalars())

    def tell(self, scope_id: int, topic: str, template: str, at_ms: int, data: Mapping[str, Any]) -> int:
        """Leave a message to those of a place who asked for it and agree to marketing; gives how many."""
        check_name("topic", topic)
        check_name("template", template)
        details = {"topic": topic, "template": template}
        with self._context.acting(
            "interest.tell", at_ms=at_ms, scope_id=scope_id, details=details
        ) as connection:
            joined = interest.join(customer, customer.c.customer_id == interest.c.customer_id)
            rows = connection.execute(
                sa.select(interest.c.customer_id)
                .select_from(joined)
                .where(interest.c.topic == topic, customer.c.scope_id == scope_id)
            )
            ids = sorted(agreeing_in(connection, "marketing", rows.scalars()))
            type_ = "topic." + "".join(one if one.isalnum() else "_" for one in topic.lower())
            told = {**data, "template": template}
            return announce_many_in(connection, type_, "customer", ids, at_ms, told, scope_id)


def merge_interests_in(
    connection: sa.Connection, _context: Context, from_id: int, into_id: int, _at_ms: int
) -> None:
    """Move topics, and on which occasions a wish was sent, to the customer that another was merged into."""
    for table, person, what in (
        (interest, interest.c.customer_id, sa.true()),
        (care_sent, care_sent.c.person_id, care_sent.c.kind == "customer"),
    ):
        rows = connection.execute(sa.select(table).where(what, person.in_((from_id, into_id)))).all()
        keys = [column.name for column in table.primary_key.columns if column.name != person.name]
        known = {
            tuple(row._mapping[key] for key in keys) for row in rows if row._mapping[person.name] == into_id
        }
        moved = [
            {**row._mapping, person.name: into_id}
            for row in rows
            if row._mapping[person.name] == from_id and tuple(row._mapping[key] for key in keys) not in known
        ]
        connection.execute(sa.delete(table).where(what, person == from_id))
        if moved:
            connection.execute(sa.insert(table), moved)
