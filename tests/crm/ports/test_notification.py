"""Notices go to those who may get them when they are sent, and no file of ours holds an address."""

import json

import sqlalchemy as sa

from crm.conftest import DAY_MS, MONDAY_MS
from crm.engaged import say
from dispatch.crm.outbox import Delivered, DeliveryError, announce_in, announce_many_in
from dispatch.crm.people.customer_details import CustomerDetails
from dispatch.crm.ports.notification import Address, Notice, NoticeFile, Notifier
from dispatch.crm.tables.engagement import outbox
from dispatch.crm.tables.people import customer, driver
from dispatch.crm.vault import seal_text

PHONE, EMAIL = "+14155550100", "anna.muster@example.org"


class Line:
    """A port that keeps in memory what it would have sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[Notice, Address]] = []

    def send(self, notice: Notice, address: Address) -> None:
        self.sent.append((notice, address))


def announce(crm, type_: str, *ids: int, kind: str = "customer", **data: object) -> None:
    with crm.context.database.writing() as connection:
        announce_many_in(connection, type_, kind, ids, MONDAY_MS, data)


def reasons(crm) -> list[str | None]:
    with crm.context.database.reading() as connection:
        wanted = sa.select(outbox.c.outcome).where(outbox.c.state == "withheld").order_by(outbox.c.message_id)
        return list(connection.execute(wanted).scalars())


def register(crm, scope_id: int, **told: object) -> int:
    return crm.customers.register(CustomerDetails(**told), scope_id=scope_id, at_ms=MONDAY_MS)


def test_who_agreed_is_sent_it_and_nobody_else(crm, scope_id):
    anna = register(crm, scope_id, phone=PHONE, email=EMAIL, language="de")
    by_mail = register(crm, scope_id, email="second@example.org")
    nowhere = register(crm, scope_id)
    refused = register(crm, scope_id, phone="+14155550101")
    say(crm, [anna, by_mail, nowhere, refused], "marketing")
    announce(crm, "care.birthday", anna, by_mail, nowhere, refused, 999, template="birthday_wish")
    # The consent that counts is that of the moment of sending.
    say(crm, [refused], "marketing", granted=False, at_ms=MONDAY_MS + 1)
    line = Line()
    notifier = Notifier(crm.context, line)
    assert crm.outbox.deliver(notifier, MONDAY_MS + 2) == Delivered(delivered=2, withheld=3)
    assert reasons(crm) == ["no_address", "no_consent", "no_consent"]
    (notice, address), (_, mail) = line.sent
    assert (notice.person_id, notice.template, notice.language) == (anna, "birthday_wish", "de")
    assert (address.by, address.value) == ("phone", PHONE)
    assert (mail.by, mail.value) == ("email", "second@example.org")
    assert PHONE not in repr(address)
    assert PHONE not in repr(line.sent)


def test_notices_go_out_unless_refused_and_drivers_get_theirs(crm, scope_id):
    anna = register(crm, scope_id, phone=PHONE)
    other = register(crm, scope_id, phone="+14155550101")
    say(crm, [other], "notices", granted=False)
    with crm.context.database.writing() as connection:
        same = {"scope_id": scope_id, "created_at_ms": 0, "changed_at_ms": 0}
        connection.execute(sa.insert(driver).values(driver_id=7, **same))
        key = crm.context.vault.give_keys(connection, "driver", [7])[7]
        connection.execute(
            sa.update(driver).values(phone=seal_text(key, "driver", 7, "phone", "+14155550107"))
        )
        announce_in(connection, "points.changed", "customer", anna, MONDAY_MS, {"points": 5, "balance": 9})
        announce_in(connection, "points.changed", "customer", other, MONDAY_MS, {"points": 5, "balance": 9})
        announce_in(connection, "care.driver_absent", "driver", 7, MONDAY_MS, {"template": "check_in"})
        announce_in(connection, "points.changed", "merchant", 3, MONDAY_MS, {})
    line = Line()
    crm.outbox.deliver(Notifier(crm.context, line), MONDAY_MS)
    assert reasons(crm) == ["opted_out", "no_person"]
    (points, _), (absent, address) = line.sent
    assert (points.template, points.data) == ("points_changed", {"points": 5, "balance": 9})
    assert (absent.kind, absent.person_id, address.value) == ("driver", 7, "+14155550107")


def test_merged_ones_are_reached_and_those_who_are_gone_are_not(crm, scope_id):
    anna, old, gone = (register(crm, scope_id, phone=f"+1415555010{n}") for n in range(3))
    say(crm, [anna, old, gone], "marketing")
    with crm.context.database.writing() as connection:
        merging = sa.update(customer).where(customer.c.customer_id == old)
        connection.execute(merging.values(status="merged", merged_into=anna))
        crm.context.vault.destroy(connection, "customer", gone)
    announce(crm, "campaign.message", old, gone, template="come_back")
    line = Line()
    crm.outbox.deliver(Notifier(crm.context, line), MONDAY_MS)
    assert [notice.person_id for notice, _ in line.sent] == [anna]
    assert reasons(crm) == ["no_address"]


def test_a_wish_that_is_days_old_is_not_sent_any_more(crm, scope_id):
    anna = register(crm, scope_id, phone=PHONE)
    say(crm, [anna], "marketing")
    announce(crm, "care.birthday", anna, template="birthday_wish")
    announce(crm, "points.changed", anna)
    line = Line()
    crm.outbox.deliver(Notifier(crm.context, line), MONDAY_MS + 3 * DAY_MS + 1)
    assert reasons(crm) == ["too_late"]
    assert [notice.template for notice, _ in line.sent] == ["points_changed"]


def test_the_local_file_and_the_outbox_hold_no_address(crm, scope_id, tmp_path):
    anna = register(crm, scope_id, phone=PHONE, email=EMAIL, name="Anna Muster")
    say(crm, [anna], "marketing")
    announce(crm, "care.birthday", anna, template="birthday_wish", coupon_cents=500)
    path = tmp_path / "notices.jsonl"
    assert crm.outbox.deliver(Notifier(crm.context, NoticeFile(path)), MONDAY_MS) == Delivered(delivered=1)
    told = path.read_text()
    assert json.loads(told) == {
        "id": 1,
        "person": f"customer/{anna}",
        "template": "birthday_wish",
        "language": None,
        "by": "phone",
        "time": "2023-11-20T00:00:00.000Z",
        "data": {"coupon_cents": 500},
    }
    announce(crm, "points.changed", anna)
    broken = Notifier(crm.context, NoticeFile(tmp_path / "none" / "notices.jsonl"))
    assert crm.outbox.deliver(broken, MONDAY_MS).failed == 1
    with crm.context.database.reading() as connection:
        kept = str(connection.execute(sa.select(outbox)).all())
    for personal in ("4155550100", EMAIL, "Muster"):
        assert personal not in told + kept
    assert "StoreError" in kept, "what kind of error is kept"


def test_a_port_that_fails_is_asked_again(crm, scope_id):
    class Dead(Line):
        def send(self, notice: Notice, address: Address) -> None:
            raise DeliveryError("gateway_busy")

    anna = register(crm, scope_id, phone=PHONE)
    say(crm, [anna], "marketing")
    announce(crm, "topic.airport", anna, template="airport_lane")
    assert crm.outbox.deliver(Notifier(crm.context, Dead()), MONDAY_MS) == Delivered(failed=1)
    line = Line()
    assert crm.outbox.deliver(Notifier(crm.context, line), MONDAY_MS + 60_000) == Delivered(delivered=1)
