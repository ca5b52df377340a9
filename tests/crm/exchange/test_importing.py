"""Imports: whole or not at all, duplicates found in the file and in the database, mistakes named."""

import csv
import random

import pytest
import sqlalchemy as sa

from crm.conftest import MONDAY_MS, actor
from crm.made_people import VERTICAL
from dispatch.crm.crm import Crm
from dispatch.crm.exchange import importing as module
from dispatch.crm.exchange.csv_rows import BadRow
from dispatch.crm.exchange.duplicates import Duplicate
from dispatch.crm.exchange.importing import ImportOptions, ImportRefusedError, import_people
from dispatch.crm.tables.people import audit, customer, driver, person_key
from dispatch.errors import AuthError, InputError, StoreError

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
        ["Same card", "", "new@mail.example", "M-3", "", ""],  # of the database
        ["Same again", "", "new@mail.example", "", "", ""],  # of the row before
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
        Duplicate(7, "email", None, ids[3]),
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
    assert [line["rule"] for line in lines[:2]] == ["it is name, guessed", "it is phone, guessed"]
    assert [line["row"] for line in lines[6:]] == ["4", "5", "6", "7", "8"]
    assert (lines[-1]["what"], lines[-1]["rule"]) == ("unclear", "email is somebody else's")
    assert "Son" not in report.read_text()

    dry = run(crm, scope_id, path, on_duplicate="update", dry_run=True)
    assert (dry.done, dry.new, dry.updated, dry.duplicates) == (False, 3, 4, expected)
    assert count(crm) == 5
    alone = run(crm, scope_id, path, on_duplicate="skip")
    assert (alone.done, alone.num_unclear, count(crm)) == (False, 1, 5), "an unclear row is not dropped"
    skipped = run(crm, scope_id, path, on_duplicate="skip", on_unclear="skip")
    assert (skipped.done, skipped.new, skipped.updated, skipped.duplicates) == (True, 3, 0, expected)
    assert count(crm) == 8
    assert crm.customers.get(ids[2], at_ms=MONDAY_MS).name == "Per Son 2"


def test_later_rows_change_who_is_known(crm, scope_id, tmp_path):
    run(crm, scope_id, write(tmp_path / "first.csv", people(3)))
    rows = [
        *people(1, 10),
        ["New name", phone_of(1), "", "", "", ""],
        ["", "", "p1@mail.example", "", "app", "12-31"],
        ["Moved", phone_of(55), "", "M-10", "", ""],
    ]
    path = write(tmp_path / "second.csv", rows)
    assert not run(crm, scope_id, path, on_duplicate="update").done, "whether M-10 moved is unclear"
    assert count(crm) == 3
    done = run(crm, scope_id, path, on_duplicate="update", sure="member_no")
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
    rows = people(20_100) if crm.context.database.is_sqlite else people(300)
    middle = len(rows) // 2
    rows[middle][1] = "+1 415 555 01"
    rows[middle + 5] = ["Nobody", "", "", "", "", ""]
    rows[middle + 6][5] = "tomorrow"
    rows[-1][2] = "no mail"
    path = write(tmp_path / "people.csv", rows)
    message = (
        rf"people.csv: row {middle + 1:,}, column 'Mobile': phone is .*; row {middle + 6:,}: none of .*; "
        rf"row {middle + 7:,}, column 'Birthday': .*; 1 faults more, 4 rows in all; nothing was"
    )
    with pytest.raises(InputError, match=message) as caught:
        run(crm, scope_id, path)
    assert "555" not in str(caught.value)
    assert [one.row for one in caught.value.report.bad][-1] == len(rows)
    assert count(crm) == count(crm, person_key) == 0
    dry = run(crm, scope_id, path, dry_run=True)
    assert [(one.row, one.column) for one in dry.bad] == [
        (middle + 1, "Mobile"), (middle + 6, ""), (middle + 7, "Birthday"), (len(rows), "E-Mail"),
    ]  # fmt: skip
    assert dry.new == dry.rows - 4
    path.write_text(HEADER + "Ann,1\n")
    assert run(crm, scope_id, path, dry_run=True).bad == [BadRow(1, "", "it has 2 columns, the header has 6")]


def test_all_faults_of_all_rows_are_told_up_to_a_number(crm, scope_id, tmp_path, monkeypatch):
    rows = people(9)
    rows[2] = ["Per Son", "12", "no mail", "A 5", "web", "13-45"]
    rows[4] = ["Ann\x07", "12", "", "", "", ""]
    rows[7][4] = "?"
    path = write(tmp_path / "people.csv", rows)
    path.write_text(path.read_text() + "Short,1\n")
    expected = [
        (3, "Mobile"), (3, "E-Mail"), (3, "Card No"), (3, "Birthday"), (5, "Name"), (5, "Mobile"),
        (8, "Source"), (10, ""),
    ]  # fmt: skip
    dry = run(crm, scope_id, path, dry_run=True)
    assert [(one.row, one.column) for one in dry.bad] == expected
    assert (dry.num_broken, dry.rows, dry.new, dry.told_until) == (4, 10, 6, None)
    with pytest.raises(ImportRefusedError, match="5 faults more, 4 rows in all") as caught:
        run(crm, scope_id, path)
    assert caught.value.report.bad == dry.bad
    for told in (dry, caught.value.report):
        told.write(tmp_path / "report.csv")
        text = (tmp_path / "report.csv").read_text()
        assert text.count("broken") == 8
        assert not any(value in text for value in ("Per Son", "no mail", "A 5", "13-45", "Ann"))
    monkeypatch.setattr(module, "MOST_BAD", 5)
    cut = run(crm, scope_id, path, dry_run=True)
    assert ([(one.row, one.column) for one in cut.bad], cut.told_until) == (expected[:5], 5)
    cut.write(tmp_path / "report.csv")
    assert "5,cut,,,,5 faults or more" in (tmp_path / "report.csv").read_text()
    with pytest.raises(ImportRefusedError, match="at least 2 faults more, at least 2 rows in all"):
        run(crm, scope_id, path)
    assert count(crm) == 0


def test_a_file_that_is_none_has_a_report_as_well(crm, scope_id, tmp_path):
    path, report = tmp_path / "people.csv", tmp_path / "report.csv"
    for content, message in (
        ("Foo,Bar\n1,2\n", "no column tells who somebody is: .*; it has Foo, Bar"),
        ("", "it has no header"),
        (None, "no such file"),
    ):
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_text(content)
        with pytest.raises(ImportRefusedError, match=message) as caught:
            run(crm, scope_id, path)
        caught.value.report.write(report)
        with report.open() as file:
            last = list(csv.DictReader(file))[-1]
        assert (last["what"], last["rule"]) == ("file", str(caught.value))
    path.write_text("Phone\n+14155550100\n")
    with pytest.raises(ImportRefusedError, match="no column tells name"):
        run(crm, scope_id, path, "driver")


def test_nobody_is_overwritten_by_another_of_the_same_address(crm, scope_id, tmp_path):
    """Families share addresses of mail; a card or telephone number of its own is somebody else's."""
    ann, other = people(2)
    other[2] = ann[2]
    path = write(tmp_path / "people.csv", [ann, other])
    expected = [Duplicate(2, "email", 1, None, against=("member_no", "phone"))]
    for on_duplicate in ("report", "skip", "update"):
        for dry_run in (True, False):
            told = run(crm, scope_id, path, on_duplicate=on_duplicate, dry_run=dry_run)
            assert (told.done, told.num_unclear, told.updated, told.duplicates) == (False, 1, 0, expected)
    assert count(crm) == 0
    for on_duplicate in ("skip", "update"):
        told = run(crm, scope_id, path, on_duplicate=on_duplicate, on_unclear="skip")
        assert (told.done, told.num_unclear) == (True, 1)
        known = crm.customers.find("phone", phone_of(0), scope_id=scope_id, at_ms=MONDAY_MS)
        assert crm.customers.get(known, at_ms=MONDAY_MS).name == "Per Son 0"
    # By now the one is in the database: by it the other is as unclear.
    told = run(crm, scope_id, write(path, [other]), on_duplicate="update")
    assert (told.done, told.duplicates[0].person_id, told.num_unclear) == (False, known, 1)
    told.write(tmp_path / "report.csv")
    assert "with another member_no, phone: it may be somebody else" in (tmp_path / "report.csv").read_text()
    assert count(crm) == 1


def test_a_field_that_is_sure_lets_others_change(tmp_path):
    first = people(2)
    moved = [[*first[0][:1], phone_of(9), *first[0][2:]], [*first[1][:3], "M-9", *first[1][4:]]]
    for sure, changed in (("", set()), ("member_no", {0}), ("phone", {1})):
        with Crm.create(tmp_path / f"{sure or 'none'}.db") as crm:
            scope_id = crm.scope("acme", "san_francisco")
            run(crm, scope_id, write(tmp_path / "people.csv", first))
            again = write(tmp_path / "again.csv", moved)
            done = run(crm, scope_id, again, on_duplicate="update", on_unclear="skip", sure=sure)
            assert (done.updated, done.num_unclear) == (len(changed), 2 - len(changed))
            for key, value, who in (("phone", phone_of(9), 0), ("member_no", "M-9", 1)):
                found = crm.customers.find(key, value, scope_id=scope_id, at_ms=MONDAY_MS)
                assert (found is not None) == (who in changed)


def test_rows_that_tell_of_nobody_are_passed_over_and_counted(crm, scope_id, tmp_path):
    rows = [*people(2), ["", "", "", "", "", ""], ["", " ", "", "", "web", ""], *people(1, 5)]
    done = run(crm, scope_id, write(tmp_path / "people.csv", rows))
    assert (done.done, done.new, done.num_empty) == (True, 3, 2)


def test_a_birthday_is_mapped_by_its_plain_name(crm, scope_id, tmp_path):
    path = write(tmp_path / "people.csv", [["Ann", phone_of(1), "12-31"]], "Name,Phone,Born\n")
    assert run(crm, scope_id, path, mapping={"birthday": "Born"}).new == 1
    path = write(tmp_path / "people.csv", [["Bo", phone_of(2), "05/06/1990"]], "Name,Phone,Born\n")
    with pytest.raises(InputError, match="row 1, column 'Born': birthday_mmdd may be day or month first"):
        run(crm, scope_id, path, mapping={"birthday": "Born"})


MESSY = [
    ("﻿Name;Phone\r\nZoë;+14155550100\r\n", "utf-8", 1),
    ("Name\tPhone\nZoë\t+14155550100\n", "utf-16", 1),
    ("Name;Phone;\nZoë;+14155550100;\n;;\n", "utf-8", 1),
    ("sep=;\nName;Phone\nZoë;+14155550100\n", "utf-8", 1),
    ("Name,Phone\rZoë,+14155550100\r", "utf-8", 1),
    ('"Name","Phone\nnumber"\n"Zoë","+1 (415) 555-0100"\n', "utf-8", 1),
    ("Name,Phone,Phone 2,\nZoë,(415) 555-0100,x,,,\n", "utf-8", 1),
    ("Name,Note,Note,Phone\nZoë,a,b,4155550100\n", "utf-8", 1),
    ("Name , PHONE NUMBER \n Zoë , 415.555.0100\u00a0\n\n\n", "utf-8", 1),
    ("Name,Phone\nZoë,14155550100.0\n", "utf-8", 1),
    ("Name,Phone,Birthday\nZoë,+14155550100,29-Feb\n", "utf-8", 1),
    ("Name,Phone\n", "utf-8", 0),
    ("Name,Phone\n,\n,\n", "utf-8", 0),
    ("Name,Phone\nZoë,1.4155E+10\n", "utf-8", "row 1, column 'Phone': phone is a rounded number"),
    ("Name,Phone\nZoë,n/a\n", "utf-8", "row 1, column 'Phone': phone is no telephone number"),
    ("Name,Phone\nZoë,+14155550100\n", "cp1252", "row 1, column 'Name': a text is not in the encoding"),
    ("Näme,Phone\nZoë,+14155550100\n", "cp1252", "its header cannot be read"),
    ("Name,Phone\nZoë,+14155550100,x\n", "utf-8", "row 1: it has 3 columns, the header has 2"),
    ('Name,Phone\nZoë,"+14155550100\n', "utf-8", "row 1: a quotation mark opens a text that does not end"),
    ('Name,Phone\n"Zoë" Z,1\n', "utf-8", "row 1: letters stand behind a closing quotation mark"),
    ("Name,Phone,Phone\nZoë,1,2\n", "utf-8", "the column 'Phone' is there twice"),
    ("Name,Phone,phone\nZoë,1,2\n", "utf-8", "the columns 'Phone' and 'phone' are called alike"),
    ("Zoë,+14155550100\nAnn,+14155550101\n", "utf-8", "must be a header"),
    ("Customers of May\n\nName,Phone\n", "utf-8", "no column tells who somebody is"),
    ("Name,Phone,Birthday\nZoë,+14155550100,05/06/1990\n", "utf-8", "may be day or month first"),
    ("Name,Phone,Birthday\nZoë,+14155550100,30000\n", "utf-8", "birthday_mmdd is no day"),
    ("Name,Phone,Birthday\nZoë,+14155550100,30-Feb\n", "utf-8", "birthday_mmdd is no day of a year"),
    ("Name,E-Mail\nZoë,zoe@mail\n", "utf-8", "row 1, column 'E-Mail': email is no address of mail"),
    ("Name,Phone\nZoë\x00,+14155550100\n", "utf-8", "name holds a control character"),
    ("Name,Phone\nZoë,+14155550100\n", "utf-16-le", "its header cannot be read|the name of column 1 holds"),
    ("", "utf-8", "it has no header"),
    ("\n\n", "utf-8", "it has no header"),
]  # fmt: skip


@pytest.fixture(scope="module")
def at_once(tmp_path_factory):
    """A CRM for many files, each for a city of its own."""
    with Crm.create(tmp_path_factory.mktemp("messy") / "crm.db") as crm:
        yield crm


@pytest.mark.parametrize("number", range(len(MESSY)))
def test_files_as_people_send_them(at_once, tmp_path, number):
    """Each is imported as it was meant, or refused with what is wrong with it."""
    text, encoding, expected = MESSY[number]
    path = tmp_path / "people.csv"
    path.write_bytes(text.encode(encoding))
    crm, scope_id, before = at_once, at_once.scope("acme", f"city_{number}"), count(at_once)
    if isinstance(expected, str):
        with pytest.raises(ImportRefusedError, match=expected):
            run(crm, scope_id, path)
        assert count(crm) == before
        return
    done = run(crm, scope_id, path)
    assert (done.done, done.new, count(crm)) == (True, expected, before + expected)
    if expected:
        found = crm.customers.find("phone", "+14155550100", scope_id=scope_id, at_ms=MONDAY_MS)
        assert crm.customers.get(found, at_ms=MONDAY_MS).name == "Zoë"


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
    known = crm.drivers.get(found, at_ms=MONDAY_MS)
    assert (known.name, known.address, known.birthday_mmdd) == ("Dri Ver 7", "7 Main St", 1231)
    rows = [["Other Name", phone_of(7), "", ""], ["New", "(415) 555-0100", "", ""]]
    done = run(crm, scope_id, write(tmp_path / "b.csv", rows, header), "driver", on_duplicate="update")
    assert (done.new, done.updated, done.duplicates) == (1, 1, [Duplicate(1, "phone", None, found)])
    known = crm.drivers.get(found, at_ms=MONDAY_MS)
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
        ({"on_unclear": "update"}, "on_unclear is 'update'"),
        ({"sure": "email"}, "sure is 'email': it must be one of member_no, phone"),
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


def test_what_a_file_calls_its_columns_is_no_formula_in_the_report(crm, scope_id, tmp_path):
    column = "=cmd|' /C calc'!A0"
    path = write(tmp_path / "people.csv", [["Ann", "12"]], f"Name,{column}\n")
    told = run(crm, scope_id, path, mapping={"phone": column}, dry_run=True)
    assert told.bad[0].column == column
    told.write(tmp_path / "report.csv")
    with (tmp_path / "report.csv").open(encoding="utf-8") as file:
        assert next(csv.DictReader(file))["by"] == "'" + column


def test_names_of_fields_that_there_are_not_do_not_get_into_the_audit(crm, scope_id, tmp_path):
    path = write(tmp_path / "people.csv", [["Ann", "+14155550100", "x"]], "Name,Phone,x\n")
    before = crm.audit_log.verify()
    for kind in ("customer", "driver"):
        for dry_run in (True, False):
            with pytest.raises(InputError, match=r"mapping has the field 'custom\.Ann Lee'.*are none"):
                run(crm, scope_id, path, kind, mapping={"custom.Ann Lee": "x"}, dry_run=dry_run)
    assert crm.audit_log.verify() == before


def test_the_report_is_written_through_no_link_that_waits_for_it(crm, scope_id, tmp_path):
    told = run(crm, scope_id, write(tmp_path / "people.csv", people(3)), dry_run=True)
    (tmp_path / "other").write_text("kept")
    for name in ("report.csv.part", ".report.csv.part", "report.csv"):
        (tmp_path / name).symlink_to(tmp_path / "other")
    told.write(tmp_path / "report.csv")
    assert (tmp_path / "other").read_text() == "kept"
    assert (tmp_path / "report.csv").read_text().startswith("row,what")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(StoreError, match="cannot be written"):
        told.write(tmp_path / "folder.csv")
    assert sorted(path.name for path in tmp_path.glob(".*")) == [".report.csv.part"]
