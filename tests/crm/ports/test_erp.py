"""Sales for an ERP: rows that add up, in both formats, with a signed message, and nobody's name."""

import csv
import hashlib
import io
import json

import pyarrow.parquet
import pytest

from crm.conftest import DAY_MS, MONDAY_MS, OTHER_CITY, actor
from crm.engaged import add_customers, add_orders, insert
from dispatch.crm.ports.base import is_signed
from dispatch.crm.ports.erp import COLUMNS, Erp, ErpFolder
from dispatch.crm.ports.payment import LocalSettlement, Method, Payments
from dispatch.crm.tables.fleet import energy_purchase
from dispatch.errors import AuthError, InputError, StoreError

SECRET = b"a secret of sixteen bytes at least"


@pytest.fixture
def sold(crm, scope_id) -> None:
    add_customers(crm, scope_id, [1])
    rows = [(1, 0, 900, True), (2, 1, 800, True), (3, 1, 700, False), (4, 2, 600, True)]
    add_orders(
        crm,
        scope_id,
        [
            {
                "order_id": one,
                "customer_id": 1,
                "at_ms": MONDAY_MS + day * DAY_MS,
                "fare_cents": fare,
                "completed": done,
            }
            for one, day, fare, done in rows
        ],
    )
    add_orders(crm, crm.scope("acme", OTHER_CITY), [{"order_id": 9, "customer_id": 1, "at_ms": MONDAY_MS}])
    pay = Payments(crm.context, LocalSettlement())
    paid = pay.pay(1, Method.WECHAT, 900, "a", MONDAY_MS)
    pay.refund(paid.payment_id, 100, "late", "b", MONDAY_MS)
    told = {
        "scope_id": scope_id,
        "station_id": 5,
        "customer_id": 1,
        "millilitres": 40_000,
        "cents": 7200,
        "at_ms": MONDAY_MS,
    }
    insert(crm, energy_purchase, [{**told, "product": "petrol_95", "key": "k"}])


def test_files_of_both_formats_tell_the_same(crm, scope_id, sold, tmp_path):
    erp, end_ms = Erp(crm.context, ErpFolder(tmp_path, SECRET)), MONDAY_MS + 2 * DAY_MS
    sales = erp.export(scope_id, MONDAY_MS, end_ms, end_ms)
    rows = list(csv.reader(io.StringIO((tmp_path / sales.name).read_text())))
    assert rows == [
        list(COLUMNS),
        ["energy", "1", str(MONDAY_MS), "5", "petrol_95", "7200", "0", ""],
        ["order", "1", str(MONDAY_MS), "", "", "900", "100", "wechat"],
        ["order", "2", str(MONDAY_MS + DAY_MS), "", "", "800", "0", ""],
    ]
    assert (sales.num_rows, sales.cents) == (3, 7200 + 800 + 800)
    assert erp.export(scope_id, MONDAY_MS, end_ms, end_ms).content == sales.content
    columns = erp.export(scope_id, MONDAY_MS, end_ms, end_ms, "parquet")
    table = pyarrow.parquet.read_table(tmp_path / columns.name)
    assert [
        [("" if value is None else str(value)) for value in row.values()] for row in table.to_pylist()
    ] == rows[1:]
    lines = [json.loads(line) for line in (tmp_path / "webhooks.jsonl").read_text().splitlines()]
    assert len(lines) == 3
    for line in lines:
        body = json.loads(line["body"])
        file = tmp_path / body["data"]["file"]
        assert hashlib.sha256(file.read_bytes()).hexdigest() == body["data"]["sha256"]
        assert (body["type"], body["specversion"], body["data"]["cents"]) == (
            "sales.exported",
            "1.0",
            sales.cents,
        )
        signature = line["webhook-signature"]
        assert is_signed(
            SECRET, line["webhook-id"], line["webhook-timestamp"], line["body"].encode(), signature
        )
    assert lines[0]["webhook-id"] == lines[1]["webhook-id"], "the same content is the same event"
    empty = erp.export(scope_id, 0, 1, end_ms, "parquet")
    assert (empty.num_rows, pyarrow.parquet.read_table(tmp_path / empty.name).num_rows) == (0, 0)


def test_who_may_and_what_goes_wrong(crm, scope_id, tmp_path):
    erp = Erp(crm.context, ErpFolder(tmp_path / "none", SECRET))
    for told in ((scope_id, 5, 5, 9), (scope_id, -1, 5, 9), (scope_id, 1, 5, 9, "xlsx")):
        with pytest.raises(InputError):
            erp.export(*told)
    with pytest.raises(StoreError, match="cannot be written"):
        erp.export(scope_id, 1, 5, 9)
    with pytest.raises(AuthError):
        Erp(crm.acting_as(actor("marketing")).context, ErpFolder(tmp_path, SECRET)).export(scope_id, 1, 5, 9)
