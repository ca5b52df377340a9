"""Imports: whole or not at all, duplicates found in the file and in the database, mistakes named."""

import csv
import random

import pytest
import sqlalchemy as sa

from crm.conftest import MONDAY_MS, actor
from crm.made_people import VERTICAL
from dispatch.crm.crm import Crm
from dispatch.crm.exchange.duplicates import Duplicate
from dispatch.crm.exchange.import_files import BadRow
from dispatch.crm.exchange.importing import MOST_BAD, ImportOptions, import_people
from dispatch.crm.tables.people import audit, customer, driver, person_key
from dispatch.errors import AuthError, InputError

HEADER = "Name,Mobile,E-Mail,Card No,Source,Birthday\n"
US = ImportOptions(region="US")


def phone_of(number):
    return f"+1415{5550000 + number:07d}"


def write(path, rows, header=HEADER):
    path.write_text(header + "".join(",".join(row) + "\n" for row in rows), encoding="utf-8")
    return path


def people(num, first=0):
    return [
        [f"Per Son {n}", phone_of(n), f"P{n}@Mail.example", f"M-{n}", "web", "1990-02-28"]
        for n in range(first, first + num)
    ]


def run(crm, scope_id, path, kind="customer", **changes):
    told = {"region": "US"} | changes
    progress = told.pop("on_progress", None)
    return import_people(
        crm.context,
        kind,
        path,
        scope_id=scope_id,
        at_ms=MONDAY_MS,
        options=ImportOptions(**told),
        on_progress=progress,
    )


def count(crm, table=customer):
    with crm.context.database.reading() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table))


def test_what_is_imported_can_be_found_and_read(crm, scope_id, tmp_path):
    path = write(tmp_path / "people.csv", people(50))
    done = run(crm, scope_id, path)
    assert (done.rows, done.new, done.num_duplicates, done.bad, done.done) == (50, 50, 0, [], True)
    found = crm.customers.find("phone", "(415) 555-0007", scope_id=scope_id, at_ms=MONDAY_MS, region="US")
    known = crm.customers.get(found, at_ms=MONDAY_MS)
    assert (known.name, known.phone, known.email) == ("Per Son 7", phone_of(7), "p7@mail.example")
    assert (known.member_no, known.channel, known.birthday_mmdd) == ("M-7", "web", 228)
    assert count(crm) == count(crm, person_key) == 50
    with crm.context.database.reading() as connection:
        entry = connection.execute(sa.select(audit).where(audit.c.action == "customer.import")).one()
    assert '"rows":50' in entry.details
    assert "Son" not in entry.details
    crm.audit_log.verify()


def test_duplicates_in_the_file_and_in_the_database(crm, scope_id, tmp_path):
    run(crm, scope_id, write(tmp_path / "first.csv", people(5)))
    rows = people(3, 10)
    rows += [
        ["Same phone", phone_of(10), "", "", "app", ""],  # of row 1
        ["Same mail", "", "P2@MAIL.EXAMPLE", "", "", "12-31"],  # of the database
        ["Same card", phone_of(77), "", "M-3", "", ""],  # of the database
        ["Same again", phone_of(77), "", "", "", ""],  # of the row before
        ["Two at once", phone_of(0), "p1@mail.example", "", "", ""],
    ]
    path = write(tmp_path / "second.csv", rows)
    ids = {}
    for n in range(5):
        ids[n] = crm.customers.find("member_no", f"M-{n}", scope_id=scope_id, at_ms=MONDAY_MS)
    expected = [
        Duplicate(4, "phone", 1, None),
        Duplicate(5, "email", None, ids[2]),
        Duplicate(6, "member_no", None, ids[3]),
        Duplicate(7, "phone", None, ids[3]),
        Duplicate(8, "phone", None, ids[0], also=("email",)),
    ]
    told = run(crm, scope_id, path)
    assert (told.done, told.new, told.num_duplicates, told.num_unclear) == (False, 3, 5, 1)
    assert told.duplicates == expected
    assert count(crm) == 5
    report = tmp_path / "report.csv"
    told.write(report)
    with report.open() as file:
        lines = list(csv.DictReader(file))
    assert [line["row"] for line in lines] == ["4", "5", "6", "7", "8"]
    assert lines[4]["rule"] == "email is somebody else's"
    assert "Son" not in report.read_text()

    dry = run(crm, scope_id, path, on_duplicate="update", dry_run=True)
    assert (dry.done, dry.new, dry.updated, dry.duplicates) == (False, 3, 4, expected)
    assert count(crm) == 5
    skipped = run(crm, scope_id, path, on_duplicate="skip")
    assert (skipped.done, skipped.new, skipped.updated, skipped.duplicates) == (True, 3, 0, expected)
    assert count(crm) == 8
    assert crm.customers.get(ids[2], at_ms=MONDAY_MS).name == "Per Son 2"


def test_later_rows_change_who_is_known(crm, scope_id, tmp_path):
    run(crm, scope_id, write(tmp_path / "first.csv", people(3)))
    rows = [
        *people(1, 10),
        ["New name", phone_of(1), "", "", "", ""],
        ["", "", "p1@mail.example", "", "app", "12-31"],
        ["Moved", phone_of(55), "p10@mail.example", "", "", ""],
    ]
    done = run(crm, scope_id, write(tmp_path / "second.csv", rows), on_duplicate="update")
    assert (done.done, done.new, done.updated, done.num_duplicates) == (True, 1, 3, 3)
    at = {"scope_id": scope_id, "at_ms": MONDAY_MS}
    one = crm.customers.get(crm.customers.find("phone", phone_of(1), **at), at_ms=MONDAY_MS)
    assert (one.name, one.email, one.channel, one.birthday_mmdd) == (
        "New name",
        "p1@mail.example",
        "app",
        1231,
    )
    assert (one.member_no, one.version) == ("M-1", 2)
    moved = crm.customers.get(crm.customers.find("member_no", "M-10", **at), at_ms=MONDAY_MS)
    assert (moved.name, moved.phone) == ("Moved", phone_of(55))
    assert crm.customers.find("phone", phone_of(55), **at) == moved.customer_id
    assert crm.customers.find("phone", phone_of(10), **at) is None
    assert count(crm) == 4


def test_one_broken_row_and_nothing_is_imported(crm, scope_id, tmp_path):
    rows = people(30_000) if crm.context.database.is_sqlite else people(300)
    middle = len(rows) // 2
    rows[middle][1] = "+1 415 555 01"
    rows[middle + 5] = ["Nobody", "", "", "", "", ""]
    rows[middle + 6][5] = "tomorrow"
    rows[-1][2] = "no mail"
    path = write(tmp_path / "people.csv", rows)
    message = rf"people.csv: row {middle + 1:,}, column 'Mobile': phone is .*\(and 3 rows more\); nothing was"
    with pytest.raises(InputError, match=message) as caught:
        run(crm, scope_id, path)
    assert "555" not in str(caught.value)
    assert count(crm) == count(crm, person_key) == 0
    dry = run(crm, scope_id, path, dry_run=True)
    assert [(one.row, one.column) for one in dry.bad] == [
        (middle + 1, "Mobile"), (middle + 6, ""), (middle + 7, "Birthday"), (len(rows), "E-Mail"),
    ]  # fmt: skip
    assert dry.new == dry.rows - 4
    path.write_text(HEADER + "Ann,1\n")
    assert run(crm, scope_id, path, dry_run=True).bad == [BadRow(1, "", "it has 2 columns, the header has 6")]
    many = write(tmp_path / "many.csv", [["x", "1", "", "", "", ""]] * 500)
    assert len(run(crm, scope_id, many, dry_run=True).bad) == MOST_BAD


def test_ctrl_c_leaves_nothing(crm, scope_id, tmp_path):
    path = write(tmp_path / "people.csv", people(20_100))
    calls = []

    def stop(*told):
        calls.append(told)
        if len(calls) == 2:  # the first part is in the transaction by now
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(crm, scope_id, path, on_progress=stop)
    assert count(crm) == count(crm, person_key) == 0
    crm.audit_log.verify()


def test_custom_fields(tmp_path):
    with Crm.create(tmp_path / "crm.db", VERTICAL) as crm:
        scope_id = crm.scope("acme", "san_francisco")
        path = write(tmp_path / "people.csv", [["+14155550100", "no perfume", "2", "yes"]], "Phone,w,s,v\n")
        mapping = {"custom.wish": "w", "custom.seats": "s", "custom.vip": "v"}
        run(crm, scope_id, path, mapping=mapping)
        found = crm.customers.find("phone", "+14155550100", scope_id=scope_id, at_ms=MONDAY_MS)
        told = crm.customers.get(found, at_ms=MONDAY_MS).custom
        assert told == {"wish": "no perfume", "seats": 2, "vip": True}
        path = write(tmp_path / "people.csv", [["+14155550101", "x", "many", "yes"]], "Phone,w,s,v\n")
        with pytest.raises(InputError, match=r"row 1, column 's': custom\.seats is no whole"):
            run(crm, scope_id, path, mapping=mapping)


def test_drivers(crm, scope_id, tmp_path):
    header = "Driver Name,Tel,Address,Birthday\n"
    rows = [[f"Dri Ver {n}", phone_of(n), f"{n} Main St", "1980-12-31"] for n in range(20)]
    assert run(crm, scope_id, write(tmp_path / "a.csv", rows, header), "driver").new == 20
    found = crm.drivers.find(phone_of(7), scope_id=scope_id, at_ms=MONDAY_MS)
    known = crm.drivers.read(found, at_ms=MONDAY_MS)
    assert (known.name, known.address, known.birthday_mmdd) == ("Dri Ver 7", "7 Main St", 1231)
    rows = [["Other Name", phone_of(7), "", ""], ["New", "(415) 555-0100", "", ""]]
    done = run(crm, scope_id, write(tmp_path / "b.csv", rows, header), "driver", on_duplicate="update")
    assert (done.new, done.updated, done.duplicates) == (1, 1, [Duplicate(1, "phone", None, found)])
    known = crm.drivers.read(found, at_ms=MONDAY_MS)
    assert (known.name, known.address) == ("Other Name", "7 Main St")
    assert count(crm, driver) == 21
    path = write(tmp_path / "c.csv", [["", phone_of(99), "", ""]], header)
    with pytest.raises(InputError, match="row 1, column 'Driver Name': name is missing"):
        run(crm, scope_id, path, "driver")


def test_who_may_import_where(crm, scope_id, tmp_path):
    path = write(tmp_path / "people.csv", people(2))
    oakland = crm.scope("acme", "oakland")
    manager = crm.acting_as(actor("manager"))
    for dry_run in (True, False):
        with pytest.raises(AuthError):
            run(manager, oakland, path, dry_run=dry_run)
        with pytest.raises(AuthError):
            run(crm.acting_as(actor("agent")), scope_id, path, dry_run=dry_run)
    assert count(crm) == 0
    assert run(manager, scope_id, path).new == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"region": "XX"}, "region is 'XX'"),
        ({"on_duplicate": "merge"}, "on_duplicate is 'merge'"),
        ({"kind": "dog"}, "kind is 'dog'"),
    ],
)
def test_bad_options(tmp_path, changes, message):
    with Crm.create(tmp_path / "crm.db") as crm, pytest.raises(InputError, match=message):
        run(crm, crm.scope("a", "b"), write(tmp_path / "people.csv", people(1)), **changes)


def test_a_file_that_tells_nobody(tmp_path):
    with Crm.create(tmp_path / "crm.db") as crm:
        path = write(tmp_path / "people.csv", [["x", "y"]], "name,shoe\n")
        with pytest.raises(InputError, match="no column tells who somebody is"):
            run(crm, crm.scope("a", "b"), path)


def test_random_files_in_parts_and_updates_agree_with_one_by_one(tmp_path):
    """The last word of a file about each person is what is known of them, whatever the sequence."""
    random_ = random.Random(5)
    rows = [[f"N {n} {random_.random()}", phone_of(n % 400), "", "", "", ""] for n in range(1000)]
    random_.shuffle(rows)
    with Crm.create(tmp_path / "crm.db") as crm:
        scope_id = crm.scope("acme", "san_francisco")
        done = run(crm, scope_id, write(tmp_path / "people.csv", rows), on_duplicate="update")
        assert (done.new, done.num_duplicates, done.updated) == (400, 600, 600)
        last = {row[1]: row[0] for row in rows}
        for phone in random_.sample(sorted(last), 25):
            found = crm.customers.find("phone", phone, scope_id=scope_id, at_ms=MONDAY_MS)
            assert crm.customers.get(found, at_ms=MONDAY_MS).name == last[phone]


@pytest.mark.long
def test_a_million_rows(tmp_path):
    """A million rows, one in twenty a duplicate, in less than two gigabytes."""
    import resource

    num, rows = 1_000_000, tmp_path / "people.csv"
    with rows.open("w") as file:
        file.write("Name,Mobile,E-Mail\n")
        for n in range(num):
            m = n if n % 20 else n // 2
            phone = 2_122_000_000 + (m % 800) * 10_000 + m // 800
            file.write(f"Per Son {m},+1{phone},p{m}@m.example\n")
    with Crm.create(tmp_path / "crm.db") as crm:
        scope_id = crm.scope("acme", "san_francisco")
        done = run(crm, scope_id, rows, on_duplicate="skip")
        assert (done.rows, done.new + done.num_duplicates) == (num, num)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2_000_000


def test_values_of_columns_taken_for_others_are_not_repeated(crm, scope_id, tmp_path):
    path = write(
        tmp_path / "people.csv", [["Ann Secret-Lee", phone_of(1), "+1 415 555 0100", "0231"]], "A,B,C,D\n"
    )
    for field, column in (("channel", "A"), ("language", "A"), ("member_no", "C"), ("birthday_mmdd", "D")):
        with pytest.raises(InputError, match=f"row 1, column '{column}': {field}") as caught:
            run(crm, scope_id, path, mapping={"phone": "B", field: column})
        assert not any(value in str(caught.value) for value in ("Secret", "555", "0231"))


def test_a_file_cut_within_a_quoted_field_is_not_taken_for_one_long_name(crm, scope_id, tmp_path):
    path = tmp_path / "people.csv"
    path.write_text(
        f'name,phone\nAnn,{phone_of(1)}\n"Bo Lin,{phone_of(2)}\nCy,{phone_of(3)}\n",{phone_of(4)}\n'
    )
    with pytest.raises(InputError, match="row 2, column 'name': name holds a control character"):
        run(crm, scope_id, path)


def test_who_asks_whom_a_file_knows_is_noted(crm, scope_id, tmp_path):
    path = write(tmp_path / "people.csv", people(3))
    run(crm, scope_id, path)
    manager = crm.acting_as(actor("manager"))
    assert run(manager, scope_id, path, dry_run=True).num_duplicates == 3
    with crm.context.database.reading() as connection:
        last = connection.execute(sa.select(audit).order_by(audit.c.seq.desc()).limit(1)).one()
    assert (last.role, last.action, last.scope_id) == ("manager", "customer.import_check", scope_id)
