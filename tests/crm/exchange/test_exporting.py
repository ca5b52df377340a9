"""Lists as files: what is within reach, and of persons what the role may see."""

import csv
import random
from dataclasses import replace

import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from crm.conftest import MONDAY_MS, actor
from crm.filled import fill
from crm.made_people import details, insert
from dispatch.crm.exchange.exporting import LISTS, export_list
from dispatch.crm.exchange.importing import import_people
from dispatch.crm.exchange.spreadsheets import guarded_text
from dispatch.crm.fleet.drivers import DriverDetails
from dispatch.crm.permissions import Actor
from dispatch.crm.tables.orders import orders
from dispatch.crm.tables.people import audit
from dispatch.errors import AuthError, InputError


def read(crm, what, path, **more):
    num = export_list(crm.context, what, path, at_ms=MONDAY_MS, **more)
    table = pq.read_table(path) if path.suffix == ".parquet" else pyarrow.csv.read_csv(path)
    assert table.num_rows == num
    return table


def test_lists_hold_what_is_within_reach(crm, scope_id, tmp_path):
    oakland = crm.scope("acme", "oakland")
    fill(crm, scope_id, num_orders=60, num_customers=10)
    fill(crm, oakland, num_orders=20, num_customers=5, seed=4)
    for what, both in (("orders", 80), ("customers", 15), ("energy", 160)):
        progress = []
        told = read(
            crm, what, tmp_path / f"{what}.parquet", on_progress=lambda *one, to=progress: to.append(one)
        )
        assert told.num_rows == both
        assert progress[-1] == (both, both)
        assert {"name", "phone_index", "pickup_lon_e6", "birthday_mmdd"} & set(told.column_names) == set()
        mine = crm.acting_as(actor("analyst"))
        own = read(mine, what, tmp_path / f"{what}.csv")
        assert set(own["place"].to_pylist()) == {"acme/san_francisco"}
    for what in LISTS:
        with pytest.raises(AuthError):
            read(crm.acting_as(actor("driver")), what, tmp_path / "none.csv")
    place = dict.fromkeys(("pickup_lon_e6", "pickup_lat_e6", "dropoff_lon_e6", "dropoff_lat_e6"), 7)
    insert(crm, orders, {"order_id": 99_999, "scope_id": scope_id, **place})
    precise = read(crm, "orders", tmp_path / "precise.parquet", personal=True)
    assert 7 in precise["pickup_lon_e6"].to_pylist()
    assert (tmp_path / "precise.parquet").stat().st_mode & 0o77 == 0
    # Where somebody is picked up is their address: an analyst sees none.
    hidden = read(crm.acting_as(actor("analyst")), "orders", tmp_path / "hidden.parquet", personal=True)
    for name in place:
        assert set(hidden[name].to_pylist()) == {None}
    with crm.context.database.reading() as connection:
        noted = connection.scalars(sa.select(audit.c.details).where(audit.c.action == "order.list_out")).all()
    assert '"personal":true' in noted[-1]


def test_personal_values_as_far_as_the_role_may_see_them(crm, scope_id, tmp_path):
    first = crm.customers.register(details(custom=None), scope_id=scope_id, at_ms=MONDAY_MS)
    held = details(custom=None, phone="+14155550100", member_no="M-2", name="Hel Held")
    second = crm.customers.register(held, scope_id=scope_id, at_ms=MONDAY_MS)
    crm.privacy.hold("customer", second, "court", at_ms=MONDAY_MS)
    crm.privacy.erase("customer", second, at_ms=MONDAY_MS)
    erased = details(custom=None, phone="+14155550101", member_no="M-3", name="Era Sed")
    third = crm.customers.register(erased, scope_id=scope_id, at_ms=MONDAY_MS)
    crm.privacy.erase("customer", third, at_ms=MONDAY_MS)
    path = tmp_path / "customers.parquet"
    rows = {row["customer_id"]: row for row in read(crm, "customers", path, personal=True).to_pylist()}
    assert (rows[first]["name"], rows[first]["phone"], rows[first]["birthday_mmdd"]) == (
        "Zoë Quarrington", "+14155552671", 229,
    )  # fmt: skip
    assert rows[second]["name"] == "Hel Held"
    assert (rows[third]["status"], rows[third]["name"]) == ("erased", None)
    manager = crm.acting_as(actor("manager"))
    rows = {row["customer_id"]: row for row in read(manager, "customers", path, personal=True).to_pylist()}
    assert rows[first]["email"] == "zoe.q@mail.example"
    assert (rows[second]["name"], rows[second]["phone"]) == (None, None)
    analyst = crm.acting_as(actor("analyst"))
    rows = {row["customer_id"]: row for row in read(analyst, "customers", path, personal=True).to_pylist()}
    hidden = ("name", "phone", "email", "birthday_mmdd", "member_no")
    assert [rows[first][name] for name in hidden] == [None] * 5
    assert "member_no" not in read(analyst, "customers", path).column_names


def test_the_end_of_a_number_for_who_may_see_no_more(crm, scope_id, tmp_path, monkeypatch):
    from dispatch.crm import permissions as module

    crm.customers.register(details(custom=None), scope_id=scope_id, at_ms=MONDAY_MS)
    table = module.permissions()
    reach = dict(table.reach) | {("dispatcher", "customer.list_out"): "city"}
    changed = replace(table, reach=reach)
    for name in ("dispatch.crm.context", "dispatch.crm.permissions"):
        monkeypatch.setattr(f"{name}.permissions", lambda: changed)
    dispatcher = crm.acting_as(Actor("dispatcher", "staff-2", "acme", frozenset({"san_francisco"})))
    (row,) = read(dispatcher, "customers", tmp_path / "customers.csv", personal=True).to_pylist()
    assert (row["name"], row["phone"], row["email"]) == ("Zoë Quarrington", "…671", None)


def test_drivers_are_opened_by_their_own_keys(crm, scope_id, tmp_path):
    told = DriverDetails("Bo Lin", "+14155550100", "1 Main St", 1231)
    crm.drivers.register(told, scope_id=scope_id, at_ms=MONDAY_MS)
    (row,) = read(crm, "drivers", tmp_path / "drivers.csv", personal=True).to_pylist()
    assert (row["name"], row["address"], row["birthday"]) == ("Bo Lin", "1 Main St", "12-31")
    (row,) = read(crm, "drivers", tmp_path / "drivers.csv").to_pylist()
    assert "name" not in row


NASTY = [
    '=HYPERLINK("http://x.example/?"&A1;"Ada")', "+cmd|' /C calc'!A0", "-1+1", "@SUM(A1)", "＝1", "'=1",
    "''+1", "Ada;=1+1", 'Ada;"=1', "'", "O'Neil", "'t Hooft", "Ada, -1", '"Ada"', "+14155550100", "x;'=1",
]  # fmt: skip


def test_formulas_are_texts_in_csv_and_come_back_as_they_were(crm, scope_id, tmp_path):
    """What a customer or driver is called is shown by the spreadsheet of who opens the list, not run."""
    random_ = random.Random(4)
    names = NASTY + ["".join(random_.choices("=+-@'\"; ,ax1", k=9)).strip() + "." for _ in range(200)]
    phones = [f"+1415555{number:04d}" for number in range(len(names))]
    mails = [f"=a|{number}@mail.example" for number in range(len(names))]
    there = {"name": names, "phone": phones, "email": mails, "channel": ["-a"] * len(names)}
    crm.customers.register_many(there, scope_id=scope_id, at_ms=MONDAY_MS)
    for name, phone in zip(NASTY, phones, strict=False):
        home = f"{name}\n{name}"
        crm.drivers.register(DriverDetails(name, phone, home), scope_id=scope_id, at_ms=MONDAY_MS)
    for what, kind, columns in (
        ("customers", "customer", ("name", "phone", "email", "channel")),
        ("drivers", "driver", ("name", "phone", "address")),
    ):
        # Another company takes over the list.
        away = crm.scope("zenith", what)
        plain = read(crm, what, tmp_path / f"{what}.parquet", personal=True).select(columns)
        path = tmp_path / f"{what}.csv"
        num = export_list(crm.context, what, path, at_ms=MONDAY_MS, personal=True)
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        for name in columns:
            cells = [row[name] for row in rows]
            assert cells == [guarded_text(text) for text in plain[name].to_pylist()]
            assert not [cell for cell in cells if cell[0] in "=-@＝" or cell[:2] == "+c"]
        assert [row["phone"] for row in rows] == plain["phone"].to_pylist()
        done = import_people(crm.context, kind, path, scope_id=away, at_ms=MONDAY_MS)
        assert (done.new, done.bad) == (num, [])
        after = read(crm, what, tmp_path / f"{what}-after.parquet", personal=True).to_pylist()
        back = [row for row in after if row["scope_id"] == away]
        for name in columns:
            assert [row[name] for row in back] == plain[name].to_pylist(), name


def test_nothing_is_left_where_it_breaks_off(crm, scope_id, tmp_path):
    def stop(*_):
        raise KeyboardInterrupt

    crm.customers.register(details(custom=None), scope_id=scope_id, at_ms=MONDAY_MS)
    with pytest.raises(KeyboardInterrupt):
        read(crm, "customers", tmp_path / "customers.csv", on_progress=stop)
    assert not list(tmp_path.glob("customers*"))
    for what, path, message in (
        ("dogs", tmp_path / "dogs.csv", "what is 'dogs'"),
        ("orders", tmp_path / "orders.xlsx", "cannot tell the format"),
        ("orders", tmp_path / "no" / "orders.csv", "its folder does not exist"),
    ):
        with pytest.raises(InputError, match=message):
            export_list(crm.context, what, path, at_ms=MONDAY_MS)


def test_rows_of_no_place_show_their_places_to_who_reaches_all(crm, scope_id, tmp_path):
    """Events may tell of places that nobody entered."""
    place = dict.fromkeys(("pickup_lon_e6", "pickup_lat_e6", "dropoff_lon_e6", "dropoff_lat_e6"), 7)
    insert(crm, orders, {"order_id": 1, "scope_id": 99, **place}, {"order_id": 2, "scope_id": None, **place})
    told = read(crm, "orders", tmp_path / "orders.parquet", personal=True)
    assert told["pickup_lon_e6"].to_pylist() == [7, 7]
    assert read(crm.acting_as(actor("manager")), "orders", tmp_path / "none.parquet").num_rows == 0


AT_MS = MONDAY_MS + 5_621
AT = "2023-11-20T00:00:05.621Z"


def lines_of(crm, what, path, **more):
    export_list(crm.context, what, path, at_ms=MONDAY_MS, **more)
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_csv_is_read_by_people_and_parquet_by_programs(crm, scope_id, tmp_path):
    row = {"submitted_at_ms": AT_MS, "quoted_eta_ms": 60_000, "fare_cents": 1234, "channel": "app"}
    insert(
        crm,
        orders,
        {"order_id": 1, "scope_id": scope_id, "stage": 6, "tier": 1, "vehicle_class": 0, **row},
        {"order_id": 2, "scope_id": 99, "stage": 77, "tier": 77, "vehicle_class": None, **row},
    )
    first, second = lines_of(crm, "orders", tmp_path / "orders.csv")
    vertical = crm.context.vertical
    assert (first["place"], first["stage"], first["submitted_at"]) == ("acme/san_francisco", "closed", AT)
    assert (first["tier"], first["vehicle_class"]) == (vertical.tiers[1].name, vertical.classes[0])
    assert (first["quoted_eta_ms"], first["fare_cents"], first["picked_up_at"]) == ("60000", "1234", "")
    assert (second["place"], second["stage"], second["tier"], second["vehicle_class"]) == (
        "99", "77", "77", "",
    )  # fmt: skip
    assert not [name for name in first if name.endswith("_at_ms") or name == "scope_id"]
    told = read(crm, "orders", tmp_path / "orders.parquet")
    assert str(told.schema.field("submitted_at_ms").type) == "timestamp[ms, tz=UTC]"
    assert told["submitted_at_ms"].cast("int64").to_pylist() == [AT_MS, AT_MS]
    kept = ("scope_id", "place", "stage", "tier", "quoted_eta_ms")
    assert [tuple(one[name] for name in kept) for one in told.to_pylist()] == [
        (scope_id, "acme/san_francisco", 6, 1, 60_000), (99, "99", 77, 77, 60_000),
    ]  # fmt: skip


def test_every_instant_of_every_list_is_told_as_one(crm, scope_id, tmp_path):
    """No list has epoch milliseconds in it; what still ends with ms is how long something took."""
    crm.customers.register(details(custom=None), scope_id=scope_id, at_ms=MONDAY_MS)
    lasting = {"quoted_eta_ms", "waited_ms"}
    for what in LISTS:
        export_list(crm.context, what, tmp_path / f"{what}.csv", at_ms=MONDAY_MS)
        header = (tmp_path / f"{what}.csv").read_text().splitlines()[0].replace('"', "").split(",")
        assert {name for name in header if name.endswith("_ms")} <= lasting, what
        assert not {"scope_id", "birthday_mmdd", "key", "code"} & set(header), what
        assert header[0].endswith("_id"), what
        assert "place" in header, what
        export_list(crm.context, what, tmp_path / f"{what}.parquet", at_ms=MONDAY_MS)
        schema = pq.read_schema(tmp_path / f"{what}.parquet")
        instants = {str(one.type) for one in schema if one.name.endswith("_ms") and one.name not in lasting}
        assert instants == {"timestamp[ms, tz=UTC]"}, what
        if "day" in schema.names:
            assert str(schema.field("day").type) == "date32[day]"
    (line,) = lines_of(crm, "customers", tmp_path / "customers.csv", personal=True)
    assert (line["birthday"], line["created_at"], line["place"]) == (
        "02-29", "2023-11-20T00:00:00.000Z", "acme/san_francisco",
    )  # fmt: skip


def test_points_memberships_and_coupons_of_who_is_within_reach(crm, scope_id, tmp_path):
    oakland = crm.scope("acme", "oakland")
    ids = {}
    for place in (scope_id, oakland):
        made = [
            crm.customers.register(
                details(custom=None, phone=f"+1415555{place:02d}{n:02d}", member_no=f"M-{place}-{n}"),
                scope_id=place,
                at_ms=MONDAY_MS,
            )
            for n in range(2)
        ]
        ids[place] = made
        for one in made:
            crm.points.grant(one, 5, key=f"gift:{one}", reason="gift", at_ms=AT_MS)
            crm.memberships.set_tier(one, "gold", at_ms=AT_MS, reason="gift")
    analyst = crm.acting_as(actor("analyst"))
    for what in ("points", "memberships"):
        assert read(crm, what, tmp_path / f"{what}.parquet").num_rows >= 4
        lines = lines_of(analyst, what, tmp_path / f"{what}.csv")
        assert sorted({int(line["customer_id"]) for line in lines}) == ids[scope_id]
        assert {line["place"] for line in lines} == {"acme/san_francisco"}
    lines = lines_of(analyst, "points", tmp_path / "points.csv")
    assert [(line["points"], line["kind"], line["at"]) for line in lines] == [("5", "grant", AT)] * 2
    lines = lines_of(analyst, "memberships", tmp_path / "memberships.csv")
    assert ("gold", AT) in {(line["tier"], line["from"]) for line in lines}
    fill(crm, scope_id, num_orders=60, num_customers=10)
    fill(crm, oakland, num_orders=60, num_customers=10, seed=4)
    for what in ("coupons", "redemptions"):
        both, own = read(crm, what, tmp_path / "all.parquet"), read(analyst, what, tmp_path / "own.parquet")
        assert 0 < own.num_rows < both.num_rows
        assert set(own["scope_id"].to_pylist()) == {scope_id}


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_an_import_reads_what_an_export_wrote(crm, scope_id, tmp_path, suffix):
    """Those of whom nothing is known any more are passed over."""
    told = [
        details(
            custom=None, name=f"Zoë {n}", phone=f"+1415555010{n}", member_no=f"M-{n}", email=f"z{n}@m.example"
        )
        for n in range(5)
    ]
    ids = [crm.customers.register(one, scope_id=scope_id, at_ms=MONDAY_MS) for one in told]
    crm.privacy.erase("customer", ids[1], at_ms=MONDAY_MS)
    crm.contacts.merge(ids[2], ids[3], at_ms=MONDAY_MS)
    crm.customers.register_many({"channel": ["simulation"] * 2}, scope_id=scope_id, at_ms=MONDAY_MS)
    crm.drivers.register(
        DriverDetails("Bo Lin", "+14155550100", "1 Main St", 301), scope_id=scope_id, at_ms=1
    )
    crm.drivers.register_many([77], scope_id=scope_id, at_ms=MONDAY_MS)
    away = crm.scope("zenith", "oakland")
    for what, kind, fields, new, empty in (
        ("customers", "customer", ("name", "phone", "email", "member_no", "birthday_mmdd", "language"), 3, 4),
        ("drivers", "driver", ("name", "phone", "address", "birthday_mmdd"), 1, 1),
    ):
        path = tmp_path / f"{what}{suffix}"
        export_list(crm.context, what, path, at_ms=MONDAY_MS, personal=True)
        done = import_people(crm.context, kind, path, scope_id=away, at_ms=MONDAY_MS)
        assert (done.done, done.new, done.num_empty, done.bad) == (True, new, empty, [])
        rows = read(crm, what, tmp_path / "after.parquet", personal=True).to_pylist()
        by_place = {
            place: [
                tuple(row[name] for name in fields)
                for row in rows
                if row["scope_id"] == place and row["name"] is not None
            ]
            for place in (scope_id, away)
        }
        assert by_place[away] == by_place[scope_id]
        assert len(by_place[away]) == new
