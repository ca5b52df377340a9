"""Vehicles, papers, trainings, shifts, blocks, money of drivers; merchants, stations, deliveries, energy."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from dispatch.crm.tables.base import facts, id_column, index_of, metadata, perhaps, sealed, text, whole

background_check: Final = sa.Table(
    "background_check",
    metadata,
    sa.Column("driver_id", sa.BigInteger, primary_key=True, autoincrement=False),
    whole("passed"),  # 1 or 0
    whole("checked_at_ms"),
    perhaps("valid_until_ms"),
    sa.CheckConstraint("passed IN (0, 1)", name="passed"),
)
"""The latest check of a driver; without a passed one there are no orders."""

vehicle: Final = sa.Table(
    "vehicle",
    metadata,
    id_column("vehicle_id"),
    whole("driver_id"),
    whole("scope_id"),
    whole("vehicle_class"),  # row of the vertical's classes, as the engine knows it
    whole("seats"),
    text("energy"),
    perhaps("range_m"),
    sealed("plate"),
    index_of("plate_index"),  # None once it is retired: the plate may be another one's then
    perhaps("insured_until_ms"),
    perhaps("inspected_until_ms"),
    perhaps("level_permille"),  # of energy, as told last
    perhaps("level_at_ms"),
    whole("added_at_ms"),
    perhaps("retired_at_ms"),
    sa.Index(None, "driver_id"),
    sa.UniqueConstraint("scope_id", "plate_index"),
    sa.CheckConstraint("seats BETWEEN 0 AND 100", name="seats"),
    sa.CheckConstraint("energy IN ('petrol', 'diesel', 'electric', 'none')", name="energy"),
    sa.CheckConstraint("level_permille BETWEEN 0 AND 1000", name="level"),
)

licence: Final = sa.Table(
    "licence",
    metadata,
    id_column("licence_id"),
    whole("driver_id"),
    text("kind"),
    sealed("number"),
    whole("valid_from_ms"),
    whole("valid_until_ms"),
    perhaps("revoked_at_ms"),
    sa.Index(None, "driver_id", "kind"),
    sa.CheckConstraint("valid_from_ms < valid_until_ms", name="window"),
)

training: Final = sa.Table(
    "training",
    metadata,
    id_column("training_id"),
    whole("driver_id"),
    text("course"),
    whole("passed"),
    perhaps("score"),  # 0 … 100
    whole("at_ms"),
    whole("valid_until_ms"),
    sa.Index(None, "driver_id", "course"),
    sa.CheckConstraint("passed IN (0, 1)", name="passed"),
    sa.CheckConstraint("score BETWEEN 0 AND 100", name="score"),
)
"""Append-only: each examination of a course."""

incentive: Final = sa.Table(
    "incentive",
    metadata,
    id_column("incentive_id"),
    whole("driver_id"),
    text("kind"),
    whole("cents"),  # signed
    text("reason"),
    text("key"),
    whole("at_ms"),
    text("made_by"),
    sa.UniqueConstraint("driver_id", "key"),
    sa.CheckConstraint(
        "(kind = 'reward' AND cents > 0) OR (kind = 'penalty' AND cents < 0) "
        "OR (kind = 'adjustment' AND cents <> 0)",
        name="cents",
    ),
)
"""Append-only: what a driver got or lost beside fares; the balance is the sum."""

shift: Final = sa.Table(
    "shift",
    metadata,
    id_column("shift_id"),
    whole("driver_id"),
    whole("scope_id"),
    whole("begin_at_ms"),
    whole("end_at_ms"),
    whole("planned_at_ms"),
    perhaps("cancelled_at_ms"),
    sa.Index(None, "driver_id", "begin_at_ms"),
    sa.Index(None, "begin_at_ms"),
    sa.CheckConstraint("begin_at_ms < end_at_ms", name="window"),
)
"""Planned; of one driver no two overlap, which whoever plans holds under a lock of the driver's row."""

driver_block: Final = sa.Table(
    "driver_block",
    metadata,
    id_column("block_id"),
    whole("driver_id"),
    text("reason"),
    whole("from_ms"),
    whole("until_ms"),
    facts("basis"),  # the score and its parts
    text("made_by"),
    perhaps("lifted_at_ms"),
    sa.Index(None, "driver_id"),
    sa.CheckConstraint("from_ms < until_ms", name="window"),
)

score_correction: Final = sa.Table(
    "score_correction",
    metadata,
    id_column("correction_id"),
    text("kind"),  # complaint, rating, cancel
    whole("object_id"),
    whole("driver_id"),
    sa.Column("day", sa.Integer, nullable=False),
    whole("at_ms"),
    sa.UniqueConstraint("kind", "object_id", "driver_id"),
)
"""What an appeal has taken out of the sums of a driver's day: once each."""

merchant: Final = sa.Table(
    "merchant",
    metadata,
    id_column("merchant_id"),
    whole("scope_id"),
    text("kind"),  # restaurant, station, shop
    text("name"),
    text("status", server_default="open"),
    whole("lon_e6"),
    whole("lat_e6"),
    whole("slots", default=1),  # pumps, chargers, or what a kitchen makes at once
    whole("preparation_ms", default=0),
    whole("opens_ms", default=0),  # since midnight of its own time zone; equal ones: always open
    whole("closes_ms", default=0),
    text("time_zone", server_default="UTC"),
    whole("created_at_ms"),
    sa.Index(None, "scope_id", "kind"),
    sa.UniqueConstraint("scope_id", "kind", "name"),
    sa.CheckConstraint("kind IN ('restaurant', 'station', 'shop')", name="kind"),
    sa.CheckConstraint("status IN ('open', 'closed')", name="status"),
    sa.CheckConstraint("slots BETWEEN 1 AND 10000", name="slots"),
)

item: Final = sa.Table(
    "item",
    metadata,
    sa.Column("merchant_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("product", sa.Text, primary_key=True),
    whole("available", default=1),
    whole("changed_at_ms"),
    sa.CheckConstraint("available IN (0, 1)", name="available"),
)

price: Final = sa.Table(
    "price",
    metadata,
    sa.Column("merchant_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("product", sa.Text, primary_key=True),
    sa.Column("from_ms", sa.BigInteger, primary_key=True, autoincrement=False),
    whole("cents"),
    text("per"),
    sa.CheckConstraint("cents >= 0", name="cents"),
    sa.CheckConstraint("per IN ('item', 'litre', 'kwh')", name="per"),
)
"""Append-only: the latest that has begun is in force."""

delivery: Final = sa.Table(
    "delivery",
    metadata,
    sa.Column("order_id", sa.BigInteger, primary_key=True, autoincrement=False),
    whole("merchant_id"),
    perhaps("customer_id"),
    whole("placed_at_ms"),
    whole("preparation_ms"),  # as estimated
    perhaps("ready_at_ms"),  # as it was
    facts("items"),  # product, count, cents; no text of customers
    whole("cents"),
    perhaps("cancelled_at_ms"),
    sa.Index(None, "merchant_id", "placed_at_ms"),
    sa.CheckConstraint("preparation_ms >= 0", name="preparation"),
    sa.CheckConstraint("cents >= 0", name="cents"),
)

energy_purchase: Final = sa.Table(
    "energy_purchase",
    metadata,
    id_column("purchase_id"),
    whole("scope_id"),
    whole("station_id"),
    perhaps("customer_id"),
    perhaps("driver_id"),
    perhaps("vehicle_id"),
    text("product"),
    perhaps("millilitres"),
    perhaps("watt_hours"),
    whole("cents"),
    perhaps("level_permille"),  # of the vehicle afterwards
    whole("at_ms"),
    text("key", unique=True),
    sa.CheckConstraint("cents >= 0", name="cents"),
    sa.CheckConstraint(
        "(millilitres > 0 AND watt_hours IS NULL) OR (watt_hours > 0 AND millilitres IS NULL)",
        name="quantity",
    ),
    sa.CheckConstraint("customer_id IS NULL OR driver_id IS NULL", name="buyer"),
    sa.Index(None, "station_id", "at_ms"),
    sa.Index(None, "customer_id", "at_ms"),
    sa.Index(None, "driver_id", "at_ms"),
)
"""Append-only: fuel and charge that customers or drivers bought."""
