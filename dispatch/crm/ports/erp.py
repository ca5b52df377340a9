"""Sales for an ERP: a file of rows, and a signed message that says which file it is."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.parquet
import sqlalchemy as sa

from dispatch.crm.context import Context, check_instant
from dispatch.crm.outbox import SOURCE, rfc3339
from dispatch.crm.ports.base import JsonLines, sign, write_whole
from dispatch.crm.rules import check_one_of
from dispatch.crm.tables.engagement import payment
from dispatch.crm.tables.fleet import energy_purchase
from dispatch.crm.tables.orders import orders
from dispatch.errors import InputError
from dispatch.units import MS_PER_S

FORMATS: Final = ("csv", "parquet")
COLUMNS: Final = ("kind", "id", "at_ms", "place_id", "product", "cents", "refunded_cents", "method")
"""Of the file. Kind: order or energy; place: merchant or station; no customer and no driver is in it."""


@dataclass(frozen=True)
class Sales:
    """A file of sales, and what is in it."""

    name: str
    content: bytes
    num_rows: int
    cents: int
    """less what was refunded"""
    event: dict[str, Any]
    """CloudEvents 1.0, ``sales.exported``"""


class ErpPort(Protocol):
    """Whatever takes sales to an ERP."""

    def send(self, sales: Sales) -> None:
        """Take a file over; the same name again takes its place."""


class ErpFolder:
    """Puts files into a folder, and lines of signed webhooks beside them; no ERP is called."""

    def __init__(self, folder: Path, secret: bytes) -> None:
        self._folder, self._secret = folder, secret
        self._lines = JsonLines(folder / "webhooks.jsonl")

    def send(self, sales: Sales) -> None:
        """Write the file first, then the message that tells of it."""
        write_whole(self._folder / sales.name, sales.content)
        body = json.dumps(sales.event, separators=(",", ":"))
        id_, timestamp_s = (
            str(sales.event["id"]).replace(".", "-"),
            int(sales.event["data"]["at_ms"]) // MS_PER_S,
        )
        signature = sign(self._secret, id_, timestamp_s, body.encode())
        headers = {"webhook-id": id_, "webhook-timestamp": timestamp_s, "webhook-signature": signature}
        self._lines.append({**headers, "body": body})


class Erp:
    """Exports what was sold."""

    def __init__(self, context: Context, port: ErpPort) -> None:
        self._context, self._port = context, port

    def export(self, scope_id: int, from_ms: int, until_ms: int, at_ms: int, format_: str = "csv") -> Sales:
        """Hand over the completed orders and the energy sold from one instant until before another.

        The same span again gives the same file, except for what was refunded since.
        """
        check_one_of("format", format_, FORMATS)
        check_instant("from_ms", from_ms)
        check_instant("until_ms", until_ms)
        if from_ms >= until_ms:
            raise InputError(f"from_ms is {from_ms}: it must be before the end, {until_ms}")
        details = {"from_ms": from_ms, "until_ms": until_ms}
        with self._context.acting(
            "erp.export", at_ms=at_ms, scope_id=scope_id, details=details
        ) as connection:
            rows = _sold_in(connection, scope_id, from_ms, until_ms)
        content = _as_csv(rows) if format_ == "csv" else _as_parquet(rows)
        name = f"sales-{scope_id}-{from_ms}-{until_ms}.{format_}"
        cents = sum(row[5] - row[6] for row in rows)
        digest = hashlib.sha256(content).hexdigest()
        data = {"file": name, "rows": len(rows), "cents": cents, "sha256": digest, "at_ms": at_ms}
        event = {
            "specversion": "1.0",
            "id": f"{name}-{digest[:16]}",
            "source": SOURCE,
            "type": "sales.exported",
            "time": rfc3339(at_ms),
            "datacontenttype": "application/json",
            "data": data,
        }
        sales = Sales(name, content, len(rows), cents, event)
        self._port.send(sales)
        return sales


def _sold_in(connection: sa.Connection, scope_id: int, from_ms: int, until_ms: int) -> list[tuple[Any, ...]]:
    """Give the rows of the file, by kind and id."""
    paid = (
        sa.select(
            payment.c.order_id,
            sa.func.sum(payment.c.refunded_cents).label("refunded"),
            sa.func.max(payment.c.method).label("method"),
        )
        .where(payment.c.state == "settled")
        .group_by(payment.c.order_id)
        .subquery()
    )
    of, sold = orders.c, energy_purchase.c
    rides = connection.execute(
        sa.select(
            sa.literal("order"),
            of.order_id,
            of.dropped_off_at_ms,
            of.merchant_id,
            sa.literal(None),
            sa.func.coalesce(of.fare_cents, 0),
            sa.cast(sa.func.coalesce(paid.c.refunded, 0), sa.BigInteger),
            paid.c.method,
        )
        .select_from(orders.outerjoin(paid, paid.c.order_id == of.order_id))
        .where(of.scope_id == scope_id, of.dropped_off_at_ms >= from_ms, of.dropped_off_at_ms < until_ms)
        .order_by(of.order_id)
    )
    energy = connection.execute(
        sa.select(
            sa.literal("energy"),
            sold.purchase_id,
            sold.at_ms,
            sold.station_id,
            sold.product,
            sold.cents,
            sa.literal(0),
            sa.literal(None),
        )
        .where(sold.scope_id == scope_id, sold.at_ms >= from_ms, sold.at_ms < until_ms)
        .order_by(sold.purchase_id)
    )
    return [tuple(row) for row in (*energy, *rides)]


def _as_csv(rows: list[tuple[Any, ...]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return text.getvalue().encode()


def _as_parquet(rows: list[tuple[Any, ...]]) -> bytes:
    texts = ("kind", "product", "method")
    schema = pa.schema([(name, pa.string() if name in texts else pa.int64()) for name in COLUMNS])
    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    table = pa.Table.from_arrays(
        [pa.array(column, one.type) for column, one in zip(columns, schema, strict=True)], schema=schema
    )
    sink = pa.BufferOutputStream()
    pyarrow.parquet.write_table(table, sink)
    return bytes(sink.getvalue().to_pybytes())
