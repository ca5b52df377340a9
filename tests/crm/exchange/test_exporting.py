"""Lists as files: what is within reach, and of persons what the role may see."""

from dataclasses import replace

import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from crm.conftest import MONDAY_MS, actor
from crm.filled import fill
from crm.made_people import details, insert
from dispatch.crm.exchange.exporting import LISTS, export_list
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
        assert set(own["scope_id"].to_pylist()) == {scope_id}
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
    from dispatch.crm.fleet.drivers import DriverDetails

    told = DriverDetails("Bo Lin", "+14155550100", "1 Main St", 1231)
    crm.drivers.register(told, scope_id=scope_id, at_ms=MONDAY_MS)
    (row,) = read(crm, "drivers", tmp_path / "drivers.csv", personal=True).to_pylist()
    assert (row["name"], row["address"], row["birthday_mmdd"]) == ("Bo Lin", "1 Main St", 1231)
    (row,) = read(crm, "drivers", tmp_path / "drivers.csv").to_pylist()
    assert "name" not in row


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
