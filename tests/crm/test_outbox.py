"""Messages are delivered at least once, in sequence per subject, and never where nothing happened."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from crm.conftest import MONDAY_MS, actor
from dispatch.crm import outbox as of_outbox
from dispatch.crm.crm import Crm
from dispatch.crm.outbox import (
    FIRST_WAIT_MS,
    LEASE_MS,
    MOST_ATTEMPTS,
    Delivered,
    DeliveryError,
    Message,
    WithheldError,
    announce_in,
    announce_many_in,
)
from dispatch.errors import AuthError, InputError, StateError


@dataclass
class Taker:
    """Takes messages, but fails for those subjects that it is told to."""

    types: tuple[str, ...] = ()
    fails_for: set[int] = field(default_factory=set)
    error: Exception = field(default_factory=lambda: DeliveryError("no_line"))
    taken: list[tuple[int, int]] = field(default_factory=list)

    def deliver(self, message: Message, at_ms: int) -> None:
        if message.object_id in self.fails_for:
            raise self.error
        self.taken.append((message.object_id, message.message_id))


def announce(crm: Crm, *object_ids: int, type_: str = "points.changed") -> None:
    with crm.context.database.writing() as connection:
        announce_many_in(connection, type_, "customer", object_ids, MONDAY_MS, {"points": 5})


def fail_after_announcing(crm: Crm) -> None:
    with crm.context.database.writing() as connection:
        announce_in(connection, "points.changed", "customer", 8, MONDAY_MS, {})
        raise StateError("the change behind the message failed")


def test_delivers_once_each_what_was_committed(crm):
    with crm.context.database.writing() as connection:
        first = announce_in(connection, "points.changed", "customer", 7, MONDAY_MS, {"points": -3}, 1)
        announce_in(connection, "system.started", None, None, MONDAY_MS, {})
    with pytest.raises(StateError):
        fail_after_announcing(crm)
    event = crm.outbox.messages()[0].as_cloudevent()
    assert event == {
        "specversion": "1.0",
        "id": str(first),
        "source": "/dispatch/crm",
        "type": "points.changed",
        "subject": "customer/7",
        "time": "2023-11-20T00:00:00.000Z",
        "datacontenttype": "application/json",
        "data": {"points": -3},
    }
    assert "subject" not in crm.outbox.messages()[1].as_cloudevent()
    taker = Taker()
    assert crm.outbox.waiting() == 2
    assert crm.outbox.deliver(taker, MONDAY_MS) == Delivered(delivered=2)
    assert [object_id for object_id, _ in taker.taken] == [7, None]
    assert crm.outbox.deliver(taker, MONDAY_MS + LEASE_MS) == Delivered()
    assert crm.outbox.waiting() == 0


def test_takes_its_own_types_and_no_more_than_told(crm):
    announce(crm, 1, 2, 3)
    announce(crm, 4, type_="care.birthday")
    announce(crm, 5, type_="carex.birthday")
    care, points = Taker(("care.",)), Taker(("points.changed", "order."))
    assert crm.outbox.deliver(care, MONDAY_MS) == Delivered(delivered=1)
    assert crm.outbox.waiting(["points."]) == 3
    assert crm.outbox.deliver(points, MONDAY_MS, limit=2) == Delivered(delivered=2)
    assert [object_id for object_id, _ in care.taken + points.taken] == [4, 1, 2]


def test_failed_ones_hold_back_their_subject_alone(crm):
    announce(crm, 1, 2, 1, 2)
    taker = Taker(fails_for={1})
    assert crm.outbox.deliver(taker, MONDAY_MS) == Delivered(delivered=2, failed=1, held_back=1)
    assert crm.outbox.deliver(taker, MONDAY_MS + FIRST_WAIT_MS - 1) == Delivered()
    taker.fails_for.clear()
    assert crm.outbox.deliver(taker, MONDAY_MS + FIRST_WAIT_MS) == Delivered(delivered=2)
    order = [message_id for object_id, message_id in taker.taken if object_id == 1]
    assert order == sorted(order)
    assert len(taker.taken) == 4


def test_gives_up_after_bounded_attempts_and_goes_on(crm):
    announce(crm, 1, 1)
    taker, at_ms = Taker(fails_for={1}, error=OSError("cannot reach +1 415 555 0100")), MONDAY_MS
    for attempt in range(MOST_ATTEMPTS):
        came = crm.outbox.deliver(taker, at_ms, limit=1)
        assert came.failed + came.given_up == 1
        assert came.given_up == (attempt == MOST_ATTEMPTS - 1)
        at_ms += FIRST_WAIT_MS << attempt
    ((message_id, last_error),) = crm.outbox.given_up()
    assert last_error == "OSError", "an error's text may hold an address"
    taker.fails_for.clear()
    assert crm.outbox.deliver(taker, at_ms) == Delivered(delivered=1)
    assert crm.outbox.retry([message_id], at_ms) == 1
    assert crm.outbox.deliver(taker, at_ms) == Delivered(delivered=1)
    assert crm.outbox.given_up() == []


def test_does_not_repeat_what_cannot_work_or_must_not(crm):
    announce(crm, 1, 2)
    gone = Taker(fails_for={1}, error=DeliveryError("unknown_template", again=False))
    assert crm.outbox.deliver(gone, MONDAY_MS) == Delivered(delivered=1, given_up=1)
    announce(crm, 3)
    assert crm.outbox.deliver(
        Taker(fails_for={3}, error=WithheldError("no_consent")), MONDAY_MS
    ) == Delivered(withheld=1)
    assert crm.outbox.deliver(Taker(), MONDAY_MS + LEASE_MS) == Delivered()


def test_who_dies_in_between_delivers_again(crm):
    class Killed(BaseException):
        pass

    announce(crm, 1, 2)
    dying = Taker(fails_for={2}, error=Killed())  # type: ignore[arg-type]  # no port's error: the process ends
    with pytest.raises(Killed):
        crm.outbox.deliver(dying, MONDAY_MS)
    assert crm.outbox.deliver(Taker(), MONDAY_MS + LEASE_MS - 1) == Delivered()
    taker = Taker()
    assert crm.outbox.deliver(taker, MONDAY_MS + LEASE_MS) == Delivered(delivered=2)
    assert {object_id for object_id, _ in taker.taken} == {1, 2}


def test_many_deliverers_keep_the_sequence(crm):
    subjects, each = 5, 12
    announce(crm, *(list(range(subjects)) * each))
    taker = Taker()

    def work(_: int) -> None:
        while crm.outbox.waiting():
            crm.outbox.deliver(taker, MONDAY_MS, limit=4)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert len(taker.taken) == len(set(taker.taken)) == subjects * each
    for subject in range(subjects):
        ids = [message_id for object_id, message_id in taker.taken if object_id == subject]
        assert ids == sorted(ids)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"type_": "points"}, "type is 'points'"),
        ({"kind": None}, "both must be told"),
        ({"at_ms": -1}, "at_ms is -1"),
        ({"data": {"to": "+1 415 555 0100"}}, "data.to"),
        ({"data": {"to": ["a", "Anna Müller"]}}, "data.to"),
        ({"data": {"to": {"name": "x"}}}, "data.to"),
        ({"data": {"rate": float("nan")}}, "data.rate"),
    ],
)
def test_refuses_what_could_be_personal_or_is_no_message(tmp_path, changes, said):
    told = {"type_": "a.b", "kind": "customer", "object_id": 1, "at_ms": MONDAY_MS, "data": {}} | changes
    with Crm.create(tmp_path / "crm.db") as crm:
        with pytest.raises(InputError, match=said) as caught, crm.context.database.writing() as connection:
            announce_in(connection, **told)
        assert "415" not in str(caught.value)
        assert "Anna" not in str(caught.value)
        with pytest.raises(InputError, match="data has 1"), crm.context.database.writing() as connection:
            announce_many_in(connection, "a.b", "customer", [1, 2], MONDAY_MS, [{}])
        with pytest.raises(InputError, match="limit"):
            crm.outbox.deliver(Taker(), MONDAY_MS, limit=0)
        assert crm.outbox.waiting() == 0


def test_only_the_program_delivers(crm):
    with pytest.raises(AuthError):
        crm.acting_as(actor("marketing")).outbox.deliver(Taker(), MONDAY_MS)
    assert of_outbox.rfc3339(MONDAY_MS + 1) == "2023-11-20T00:00:00.001Z"


def test_what_was_delivered_long_ago_is_pruned_and_no_id_comes_twice(crm):
    day_ms = 86_400_000
    announce(crm, 1, 2, 3)
    announce(crm, 4, type_="care.birthday")
    taker = Taker(types=("points.changed",), fails_for={2}, error=WithheldError("no_consent"))
    crm.outbox.deliver(taker, MONDAY_MS)
    assert crm.outbox.prune(MONDAY_MS + 30 * day_ms) == 0, "kept for 30 days"
    assert crm.outbox.prune(MONDAY_MS + 30 * day_ms + 1) == 3
    (left,) = crm.outbox.messages()
    assert left.object_id == 4, "what waits stays"
    crm.outbox.deliver(Taker(), MONDAY_MS)
    assert crm.outbox.prune(MONDAY_MS + 1, keep_days=0) == 0
    announce(crm, 5)
    assert crm.outbox.messages()[-1].message_id > left.message_id, "the latest one's id was not given again"
    with pytest.raises(InputError, match="keep_days"):
        crm.outbox.prune(MONDAY_MS, keep_days=-1)
    with pytest.raises(AuthError):
        crm.acting_as(actor("manager")).outbox.prune(MONDAY_MS)
