"""The audit: whatever is changed, removed, added or cut is found out."""

import random

import pytest
import sqlalchemy as sa

from crm.conftest import MONDAY_MS, actor
from crm.made_people import dump
from dispatch.crm.audit import append, begin, signed_head, verify, verify_entries
from dispatch.crm.crm import Crm
from dispatch.crm.permissions import Actor
from dispatch.crm.tables.people import audit, audit_head
from dispatch.errors import StoreError
from dispatch.store.chain import START, Head, canonical, link
from dispatch.store.sealing import Keyring

NUM_TAMPERINGS = 1000
COVERED = ("seq", "at_ms", "actor", "role", "action", "kind", "object_id", "scope_id", "details")


def fill(connection, num=40):
    """Write entries of many sorts."""
    for row in range(num):
        who = Actor("agent", f"staff-{row % 7}", "acme", frozenset({"sf"}))
        targets = (
            [("customer", row % 5, 1), ("order", row, None)][: 1 + row % 2] if row % 3 else [(None,) * 3]
        )
        append(connection, who, "customer.get", MONDAY_MS + row, targets, {"shown": ["name"] * (row % 3)})


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Entries as rows, the row of the end, the head signed last, and the keyring."""
    with Crm.create(tmp_path_factory.mktemp("audit") / "crm.db") as crm:
        with crm.context.database.writing() as connection:
            fill(connection)
        with crm.context.database.reading() as connection:
            rows = [dict(row._mapping) for row in connection.execute(sa.select(audit).order_by(audit.c.seq))]
            end = tuple(connection.execute(sa.select(audit_head.c.seq, audit_head.c.hash)).one())
            keyring = crm.context.vault.keyring
            yield rows, end, signed_head(connection, keyring, MONDAY_MS), keyring


# --- tamperings of a copy: (rows, end, random) -> (rows, ends) -----------------------------------


def other_value(value, random_):
    """Give a value near another, of the same type where there is one."""
    if value is None:
        return random_.choice([0, 1, "x", ""])
    if isinstance(value, int):
        return random_.choice([value + 1, value - 1, -value - 1, None, str(value), value + 2**32])
    if isinstance(value, bytes):
        place = random_.randrange(len(value))
        return value[:place] + bytes([value[place] ^ 1 << random_.randrange(8)]) + value[place + 1 :]
    return random_.choice([value + "x", value[:-1], value.upper() + "!", None, f" {value}", value + "\u200b"])


def change(rows, end, random_):
    row = random_.choice(rows)
    name = random_.choice([*COVERED, "hash"])
    row[name] = other_value(row[name], random_)
    return rows, [end]


def change_and_hash_anew(rows, end, random_):
    """Change an entry, and its own hash to fit."""
    place = random_.randrange(len(rows))
    row = rows[place]
    name = random_.choice(COVERED[1:])
    row[name] = other_value(row[name], random_)
    before = rows[place - 1]["hash"] if place else START
    row["hash"] = link(before, canonical({name: row[name] for name in COVERED}))
    return rows, [end]


def remove(rows, end, random_):
    del rows[random_.randrange(len(rows))]
    return rows, [end]


def remove_and_number_anew(rows, end, random_):
    del rows[random_.randrange(len(rows))]
    for seq, row in enumerate(rows, 1):
        row["seq"] = seq
    return rows, [(len(rows), rows[-1]["hash"])]


def cut(rows, end, random_):
    """Cut the tail, and let the row of the end say so."""
    rows = rows[: random_.randrange(len(rows))]
    return rows, [(len(rows), rows[-1]["hash"] if rows else START)]


def cut_alone(rows, end, random_):
    return rows[: random_.randrange(len(rows))], [end]


def swap(rows, end, random_):
    one, two = random_.sample(range(len(rows)), 2)
    rows[one], rows[two] = rows[two], rows[one]
    if random_.random() < 0.5:
        rows[one]["seq"], rows[two]["seq"] = rows[two]["seq"], rows[one]["seq"]
    return rows, [end]


def add_one(rows, end, random_):
    """Put in a copy of an entry, the later ones numbered anew."""
    rows.insert(random_.randrange(len(rows) + 1), dict(random_.choice(rows)))
    for seq, row in enumerate(rows, 1):
        row["seq"] = seq
    return rows, [(len(rows), rows[-1]["hash"])]


def append_one(rows, end, random_):
    """Add an entry at the end, without the row of the end."""
    row = dict(rows[-1]) | {"seq": rows[-1]["seq"] + 1}
    row["hash"] = link(rows[-1]["hash"], canonical({name: row[name] for name in COVERED}))
    return [*rows, row], [end]


def rewrite(rows, end, random_):
    """Change an entry, and write the whole chain anew from there on: only the signed head tells."""
    first = random_.randrange(len(rows))
    rows[first]["actor"] = "nobody"
    if random_.random() < 0.3:
        del rows[first]
    hash_ = START
    for seq, row in enumerate(rows, 1):
        row["seq"] = seq
        hash_ = row["hash"] = link(hash_, canonical({name: row[name] for name in COVERED}))
    return rows, [(len(rows), hash_)]


def lose_the_end(rows, end, random_):
    return rows, random_.choice([[], [end, end], [(end[0] + 1, end[1])], [(end[0], bytes(32))]])


TAMPERINGS = [
    change, change_and_hash_anew, remove, remove_and_number_anew, cut, cut_alone, swap, add_one, append_one,
    rewrite, lose_the_end,
]  # fmt: skip


def test_a_thousand_random_tamperings_none_missed(log):
    rows, end, head, _ = log
    assert verify_entries([dict(row) for row in rows], [end], head) == len(rows)
    random_ = random.Random(3)
    missed, tried = [], 0
    while tried < NUM_TAMPERINGS:
        tampering = TAMPERINGS[tried % len(TAMPERINGS)]
        changed, ends = tampering([dict(row) for row in rows], end, random_)
        if (changed, ends) == (rows, [end]):
            continue  # by chance nothing was changed, as where two equal ones are swapped
        tried += 1
        try:
            verify_entries(changed, ends, head, head.public_key)
            missed.append(tampering.__name__)
        except StoreError:
            continue
    assert missed == []
    assert tried == NUM_TAMPERINGS


def test_without_the_signed_head_a_chain_written_anew_seems_right(log):
    """Why the head is signed, and kept elsewhere."""
    rows, end, head, _ = log
    random_ = random.Random(1)
    for tampering in (rewrite, cut):
        changed, ends = tampering([dict(row) for row in rows], end, random_)
        assert verify_entries(changed, ends) == len(changed)
        with pytest.raises(StoreError):
            verify_entries(changed, ends, head)


def test_a_head_signed_earlier_holds_until_there(log):
    rows, end, _, keyring = log
    early = Head.signed(keyring, 10, rows[9]["hash"], MONDAY_MS)
    assert verify_entries(rows, [end], early) == len(rows)
    assert verify_entries([], [(0, START)], Head.signed(keyring, 0, START, 1)) == 0
    with pytest.raises(StoreError, match="cut"):
        verify_entries(rows[:9], [(9, rows[8]["hash"])], early)
    with pytest.raises(StoreError, match="cut"):
        verify_entries(rows, [end], Head.signed(keyring, len(rows) + 5, rows[9]["hash"], MONDAY_MS))


def test_a_head_that_somebody_else_signed_is_refused(log):
    rows, end, head, _ = log
    forged = Head.signed(Keyring.new(), head.seq, head.hash, head.at_ms)
    with pytest.raises(StoreError, match="another key"):
        verify_entries(rows, [end], forged, head.public_key)
    with pytest.raises(StoreError, match="not what was signed"):
        verify_entries(
            rows, [end], Head(head.seq - 1, head.hash, head.at_ms, head.signature, head.public_key)
        )


SQL = [
    "UPDATE audit SET actor = 'nobody' WHERE seq = 7",
    "UPDATE audit SET details = details || ' ' WHERE seq = 7",
    "UPDATE audit SET object_id = NULL WHERE seq = 8",
    "UPDATE audit SET at_ms = at_ms + 1 WHERE seq = 1",
    "DELETE FROM audit WHERE seq = 12",
    "DELETE FROM audit WHERE seq > 20",
    "DELETE FROM audit",
    "DELETE FROM audit_head",
    "UPDATE audit_head SET seq = seq - 1",
    "INSERT INTO audit SELECT seq + 1, at_ms, actor, role, action, kind, object_id, scope_id, details, hash "
    "FROM audit ORDER BY seq DESC LIMIT 1",
    "UPDATE audit SET seq = -seq WHERE seq = 3",
    "INSERT INTO audit SELECT -seq, at_ms, actor, role, action, kind, object_id, scope_id, details, hash "
    "FROM audit WHERE seq = 3",
    "INSERT INTO audit SELECT 0, at_ms, actor, role, action, kind, object_id, scope_id, details, hash "
    "FROM audit WHERE seq = 1",
]


def test_tampering_in_the_database_is_found_out(crm):
    with crm.context.database.writing() as connection:
        fill(connection)
        head = signed_head(connection, crm.context.vault.keyring, MONDAY_MS)
    before = dump(crm)

    def tamper(statement):
        with crm.context.database.writing() as connection:
            connection.exec_driver_sql(statement)
            verify(connection, head)

    def cut_with_its_end():
        with crm.context.database.writing() as connection:
            connection.execute(sa.delete(audit))
            connection.execute(sa.update(audit_head).values(seq=0, hash=START))
            assert verify(connection) == 0
            verify(connection, head)

    for statement in SQL:
        with pytest.raises(StoreError, match="audit: "):
            tamper(statement)
        assert dump(crm) == before
    # Nothing but the signed head tells.
    with pytest.raises(StoreError, match="cut"):
        cut_with_its_end()
    with crm.context.database.reading() as connection:
        assert verify(connection, head) == len(before["audit"])


def test_entries_are_written_with_the_action_or_not_at_all(crm, scope_id):
    before = dump(crm)
    with (
        pytest.raises(ValueError, match="out of the blue"),
        crm.context.acting("customer.register", scope_id=scope_id, at_ms=MONDAY_MS),
    ):
        raise ValueError("out of the blue")
    assert dump(crm) == before
    with crm.context.of(actor("agent")).acting("customer.register", scope_id=scope_id, at_ms=MONDAY_MS):
        pass
    with crm.context.database.reading() as connection:
        row = connection.execute(sa.select(audit).order_by(audit.c.seq.desc()).limit(1)).one()
        assert (row.actor, row.role, row.action, row.scope_id) == (
            "staff-1",
            "agent",
            "customer.register",
            scope_id,
        )


def test_long_logs_are_read_some_at_a_time(crm, monkeypatch):
    monkeypatch.setattr("dispatch.crm.audit._AT_ONCE", 7)
    with crm.context.database.writing() as connection:
        fill(connection, 20)
        assert verify(connection) == connection.scalar(sa.select(sa.func.count()).select_from(audit))


def test_a_chain_begins_once(crm):
    with pytest.raises(sa.exc.IntegrityError), crm.context.database.writing() as connection:
        begin(connection)
