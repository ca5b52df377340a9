"""Surveys: questions answered by numbers, sent through the outbox, each customer asked once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from dispatch.crm.context import Context, check_id, check_not_before
from dispatch.crm.outbox import announce_many_in
from dispatch.crm.people.sealed_texts import check_text, key_in, open_text, sealed_field
from dispatch.crm.rules import check_name
from dispatch.crm.tables.people import customer
from dispatch.crm.tables.service import survey, survey_sent
from dispatch.crm.vault import seal_text
from dispatch.errors import InputError, StateError
from dispatch.limits import check_whole
from dispatch.store import bulk

MOST_QUESTIONS: Final = 50


@dataclass(frozen=True)
class Question:
    """A question, by a name, answered by a whole number within a range."""

    name: str
    lowest: int = 1
    highest: int = 5

    def __post_init__(self) -> None:
        """Refuse a range without two answers."""
        check_name("name", self.name)
        check_whole("lowest", self.lowest, 0, 100)
        check_whole("highest", self.highest, self.lowest + 1, 100)


@dataclass(frozen=True)
class SurveyResult:
    """What came of a survey."""

    num_sent: int
    num_answered: int
    mean: Mapping[str, float]
    """by question, of those that were answered"""
    satisfied: Mapping[str, float]
    """share of answers in the upper two fifths of the range: 4 or 5 of 1 … 5"""
    counts: Mapping[str, Mapping[int, int]]


class Surveys:
    """Makes surveys, sends them, takes answers and sums them up."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def create(self, name: str, questions: Sequence[Question], *, scope_id: int, at_ms: int) -> int:
        """Make a survey; gives its id. Its name is its own within a place."""
        check_name("name", name)
        names = [one.name for one in questions]
        if not 1 <= len(names) <= MOST_QUESTIONS:
            raise InputError(f"questions has {len(names)} entries: 1 to {MOST_QUESTIONS}")
        if len(set(names)) < len(names):
            raise InputError("questions holds one name twice")
        with self._context.acting(
            "survey.create", at_ms=at_ms, scope_id=scope_id, details={"name": name}
        ) as connection:
            told = [[one.name, one.lowest, one.highest] for one in questions]
            added = connection.execute(
                sa.insert(survey).values(scope_id=scope_id, name=name, questions=told, created_at_ms=at_ms)
            )
            return int(added.inserted_primary_key[0])  # type: ignore[index]  # one row was inserted

    def send(self, survey_id: int, customer_ids: Sequence[int], *, at_ms: int) -> int:
        """Ask customers (n,) by the outbox, ``survey.sent``; gives how many.

        Who was asked before, is not active or is of another place is not asked. Consent is for the port to
        check, which must hold back what was not consented to.
        """
        ids = sorted({int(one) for one in customer_ids})
        for one in ids:
            check_id("customer_ids", one)
        with self._context.acting(
            "survey.send", ("survey", survey_id), at_ms=at_ms, details=(noted := {})
        ) as connection:
            row = connection.execute(sa.select(survey).where(survey.c.survey_id == survey_id)).one()
            check_not_before("at_ms", at_ms, row.created_at_ms, "the survey was made")
            asked = sa.select(survey_sent.c.customer_id).where(survey_sent.c.survey_id == survey_id)
            wanted = sa.select(customer.c.customer_id).where(
                bulk.among(connection, customer.c.customer_id, ids),
                customer.c.scope_id == row.scope_id,
                customer.c.status == "active",
                customer.c.customer_id.not_in(asked),
            )
            new = list(connection.execute(wanted.order_by(customer.c.customer_id)).scalars())
            bulk.insert(
                connection,
                survey_sent,
                {
                    "survey_id": [survey_id] * len(new),
                    "customer_id": new,
                    "sent_at_ms": [at_ms] * len(new),
                },
            )
            data = {"survey_id": survey_id, "name": row.name, "questions": [one[0] for one in row.questions]}
            announce_many_in(connection, "survey.sent", "customer", new, at_ms, data, row.scope_id)
            noted["customers"] = len(new)
            return len(new)

    def answer(
        self,
        survey_id: int,
        customer_id: int,
        answers: Mapping[str, int],
        *,
        at_ms: int,
        words: str | None = None,
    ) -> None:
        """Take a customer's answers, once; questions may be left out.

        Raises
        ------
        InputError
            A question is unknown, an answer out of its range; or nothing is answered.
        StateError
            The customer was not asked, or has answered.
        """
        check_id("survey_id", survey_id)
        if words is not None:
            check_text("words", words)
        with self._context.acting("survey.answer", ("customer", customer_id), at_ms=at_ms) as connection:
            mine = sa.and_(survey_sent.c.survey_id == survey_id, survey_sent.c.customer_id == customer_id)
            sent = connection.execute(sa.select(survey_sent).where(mine).with_for_update()).one_or_none()
            if sent is None:
                raise StateError(f"customer {customer_id} was not asked survey {survey_id}")
            if sent.answered_at_ms is not None:
                raise StateError(f"customer {customer_id} has answered survey {survey_id} already")
            check_not_before("at_ms", at_ms, sent.sent_at_ms, "the survey was sent")
            questions = connection.execute(
                sa.select(survey.c.questions).where(survey.c.survey_id == survey_id)
            ).scalar_one()
            _check_answers(questions, answers)
            sealed = None
            if words is not None:
                key = key_in(connection, self._context.vault, "customer", customer_id)
                label = sealed_field(survey_sent.c.words, survey_id)
                sealed = seal_text(key, "customer", customer_id, label, words)
            told = {name: int(value) for name, value in answers.items()}
            connection.execute(
                sa.update(survey_sent).where(mine).values(answered_at_ms=at_ms, answers=told, words=sealed)
            )

    def words(self, survey_id: int, customer_id: int, *, at_ms: int) -> str | None:
        """Give what a customer wrote beside the answers."""
        check_id("survey_id", survey_id)
        with self._context.acting("survey.read", ("customer", customer_id), at_ms=at_ms) as connection:
            sealed = connection.execute(
                sa.select(survey_sent.c.words).where(
                    survey_sent.c.survey_id == survey_id, survey_sent.c.customer_id == customer_id
                )
            ).scalar_one_or_none()
            person = ("customer", customer_id)
            vault = self._context.vault
            return open_text(connection, vault, person, survey_sent.c.words, survey_id, sealed)

    def result(self, survey_id: int) -> SurveyResult:
        """Sum up a survey's answers."""
        with self._context.looking("survey.result", ("survey", survey_id)) as connection:
            questions = connection.execute(
                sa.select(survey.c.questions).where(survey.c.survey_id == survey_id)
            ).scalar_one()
            rows = connection.execute(
                sa.select(survey_sent.c.answers, survey_sent.c.answered_at_ms).where(
                    survey_sent.c.survey_id == survey_id
                )
            ).all()
        counts: dict[str, dict[int, int]] = {name: {} for name, _, _ in questions}
        for answers, _ in rows:
            for name, value in (answers or {}).items():
                counts[name][value] = counts[name].get(value, 0) + 1
        mean, satisfied = {}, {}
        for name, lowest, highest in questions:
            num = sum(counts[name].values())
            if num:
                mean[name] = sum(value * count for value, count in counts[name].items()) / num
                upper = highest - (highest - lowest + 1) * 2 / 5
                satisfied[name] = sum(count for value, count in counts[name].items() if value > upper) / num
        answered = sum(row.answered_at_ms is not None for row in rows)
        return SurveyResult(len(rows), answered, mean, satisfied, counts)


def _check_answers(questions: Sequence[Sequence[Any]], answers: Mapping[str, int]) -> None:
    ranges = {name: (lowest, highest) for name, lowest, highest in questions}
    if not answers:
        raise InputError("answers is empty: one question at least must be answered")
    for name, value in answers.items():
        if name not in ranges:
            raise InputError(f"answers: the survey has no question {name!r}")
        check_whole(f"answers.{name}", value, *ranges[name])
