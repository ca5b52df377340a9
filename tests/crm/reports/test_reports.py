"""Operating reports, against counting row by row."""

import datetime
from collections import Counter, defaultdict
from dataclasses import replace
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from crm.conftest import actor
from crm.filled import DAY_MS, MONDAY_MS, fill
from dispatch.crm.crm import Crm
from dispatch.crm.reports.reports import TITLES, report
from dispatch.crm.tables.fleet import energy_purchase
from dispatch.crm.tables.loyalty import coupon, points_entry, redemption
from dispatch.crm.tables.orders import orders
from dispatch.crm.tables.people import customer
from dispatch.crm.tables.service import complaint
from dispatch.errors import AuthError, InputError

ZONE = "America/Los_Angeles"
SINCE, UNTIL = datetime.date(2023, 11, 20), datetime.date(2023, 12, 2)
AT_MS = MONDAY_MS + 12 * DAY_MS
"""Within the span: some complaints are not due yet."""


@pytest.fixture(scope="module")
def crm(tmp_path_factory):
    """Two cities of one company, and one of another."""
    with Crm.create(tmp_path_factory.mktemp("reports") / "crm.db", "ride") as made:
        for seed, place in enumerate(
            (("acme", "san_francisco"), ("acme", "oakland"), ("zenith", "oakland")), 3
        ):
            fill(made, made.scope(*place), seed=seed)
        yield made


def rows_of(crm, table, at, scope_ids=None):
    """All rows within the span, with their local time."""
    with crm.context.database.reading() as connection:
        rows = [dict(row._mapping) for row in connection.execute(sa.select(table))]
    found = []
    for row in rows:
        local = datetime.datetime.fromtimestamp(row[at] / 1000, ZoneInfo(ZONE))
        if SINCE <= local.date() <= UNTIL and (scope_ids is None or row["scope_id"] in scope_ids):
            found.append(
                row | {"local": local, "period": f"{local.isocalendar()[0]}-W{local.isocalendar()[1]:02d}"}
            )
    return found


def made_by(crm, **more):
    return report(crm.context, "week", SINCE, UNTIL, at_ms=AT_MS, timezone=ZONE, **more)


def by(table, key):
    return {row[key]: row for row in table.to_pylist()}


def done(row):
    return row["stage"] in (5, 6)


@pytest.fixture(scope="module")
def told(crm):
    return made_by(crm)


def test_orders_are_counted_by_period_channel_hour_and_class(crm, told):
    assert list(told.tables) == list(TITLES)
    assert told.places == ("acme/san_francisco", "acme/oakland", "zenith/oakland")
    rows = rows_of(crm, orders, "submitted_at_ms")
    assert len(rows) > 900
    keys = {
        "orders": ("period", lambda row: row["period"]),
        "channels": ("channel", lambda row: row["channel"] or "unknown"),
        "hours": ("hour", lambda row: row["local"].hour),
        "classes": ("class", lambda row: ("ordinary", "comfort")[row["vehicle_class"]]),
    }
    for name, (key, of) in keys.items():
        found, groups = by(told.tables[name], key), defaultdict(list)
        for row in rows:
            groups[of(row)].append(row)
        assert set(found) >= set(groups)
        for group, some in groups.items():
            figures, served = found[group], [row for row in some if done(row)]
            over = [row for row in some if row["stage"] in (5, 6, 7, 8)]
            waits = [
                row["picked_up_at_ms"] - row["submitted_at_ms"] for row in some if row["picked_up_at_ms"]
            ]
            took = [row["ended_at_ms"] - row["submitted_at_ms"] for row in served]
            assert figures["submitted"] == len(some)
            assert figures["completed"] == len(served)
            assert figures["cancelled"] == sum(row["stage"] == 7 for row in some)
            assert figures["expired"] == sum(row["stage"] == 8 for row in some)
            assert figures["completed_share"] == pytest.approx(len(served) / len(over))
            assert figures["revenue_cents"] == sum(row["fare_cents"] for row in served)
            assert figures["mean_wait_ms"] == pytest.approx(sum(waits) / len(waits), abs=0.5)
            assert figures["mean_processing_ms"] == pytest.approx(sum(took) / len(took), abs=0.5)


def test_customers_are_new_once_and_repeat_from_then_on(crm, told):
    with crm.context.database.reading() as connection:
        every = connection.execute(sa.select(orders).order_by(orders.c.submitted_at_ms)).all()
    first = {}
    for row in every:
        if row.stage in (5, 6):
            first.setdefault(row.customer_id, row.submitted_at_ms)
    active, new = defaultdict(set), Counter()
    for row in rows_of(crm, orders, "submitted_at_ms"):
        if done(row):
            active[row["period"]].add(row["customer_id"])
            new[row["period"]] += first[row["customer_id"]] == row["submitted_at_ms"]
    registered = Counter(row["period"] for row in rows_of(crm, customer, "created_at_ms"))
    for period, figures in by(told.tables["customers"], "period").items():
        assert figures["active"] == len(active[period])
        assert (figures["new"], figures["repeat"]) == (new[period], len(active[period]) - new[period])
        assert figures["registered"] == registered[period]
    assert sum(new.values()) > 50


def test_few_customers_bring_most_of_the_revenue(crm, told):
    spend = Counter()
    for row in rows_of(crm, orders, "submitted_at_ms"):
        if done(row):
            spend[row["customer_id"]] += row["fare_cents"]
    best, total = sorted(spend.values(), reverse=True), sum(spend.values())
    few = next(num for num in range(len(best) + 1) if sum(best[:num]) >= 0.8 * total)
    rows = told.tables["concentration"].to_pylist()
    assert [row["customers"] for row in rows if row["reaches_80"]] == [few]
    for row in rows:
        assert row["revenue_cents"] == sum(best[: row["customers"]])
        assert row["revenue_share"] == pytest.approx(row["revenue_cents"] / total)
    assert rows[-1]["customers"] == len(best)


def test_coupons_and_points(crm, told):
    used = rows_of(crm, redemption, "reserved_at_ms")
    with crm.context.database.reading() as connection:
        names = dict(connection.execute(sa.select(coupon.c.coupon_id, coupon.c.name)).all())
    for key, name, of in (
        ("period", "coupons", lambda row: row["period"]),
        ("coupon", "coupon_names", lambda row: names[row["coupon_id"]]),
    ):
        for group, figures in by(told.tables[name], key).items():
            some = [row for row in used if of(row) == group]
            for state in ("committed", "rolled_back", "reserved"):
                assert figures[state] == sum(row["state"] == state for row in some)
            assert figures["discount_cents"] == sum(
                row["discount_cents"] for row in some if row["state"] == "committed"
            )
    entries = rows_of(crm, points_entry, "at_ms")
    for period, figures in by(told.tables["points"], "period").items():
        for kind in ("earn", "redeem", "expire"):
            some = [row for row in entries if row["period"] == period and row["kind"] == kind]
            assert figures[kind] == sum(row["points"] for row in some)
        assert figures["net"] == sum(row["points"] for row in entries if row["period"] == period)


def test_complaints_are_judged_once_they_are_due(crm, told):
    filed = rows_of(crm, complaint, "filed_at_ms")
    for period, figures in by(told.tables["complaints"], "period").items():
        some = [row for row in filed if row["period"] == period]
        assert figures["filed"] == len(some)
        assert figures["upheld"] == sum(row["verdict"] == "upheld" for row in some)
        judged = [row for row in some if row["resolved_at_ms"] is not None or row["resolve_by_ms"] < AT_MS]
        kept = [row for row in judged if (row["resolved_at_ms"] or AT_MS) <= row["resolve_by_ms"]]
        assert figures["resolved_in_time"] == pytest.approx(len(kept) / len(judged))
        assert figures["compensation_cents"] == sum(row["cents"] for row in some)
    open_ = [row for row in filed if row["resolved_at_ms"] is None]
    assert any(row["resolve_by_ms"] >= AT_MS for row in open_), "some are not due yet"
    assert Counter(row["code"] for row in filed) == {
        code: figures["filed"] for code, figures in by(told.tables["problems"], "problem").items()
    }


def test_energy_by_product_and_hour(crm, told):
    sold = rows_of(crm, energy_purchase, "at_ms")
    groups = defaultdict(list)
    for row in sold:
        groups[row["product"], row["local"].hour].append(row)
    rows = told.tables["energy"].to_pylist()
    assert {(row["product"], row["hour"]) for row in rows} == set(groups)
    for row in rows:
        some = groups[row["product"], row["hour"]]
        assert row["purchases"] == len(some)
        assert row["revenue_cents"] == sum(one["cents"] for one in some)
        assert row["millilitres"] == sum(one["millilitres"] or 0 for one in some)
        assert row["watt_hours"] == sum(one["watt_hours"] or 0 for one in some)


def test_only_places_within_reach_are_counted(crm):
    mine = made_by(crm.acting_as(actor("analyst")))
    one = made_by(crm, places=[("acme", "san_francisco")])
    assert mine.places == one.places == ("acme/san_francisco",)
    assert mine.tables == one.tables
    company = made_by(crm.acting_as(actor("manager")))
    assert company.places == ("acme/san_francisco", "acme/oakland")
    every = made_by(crm)
    for name in ("orders", "points", "coupons", "complaints"):
        key = {"orders": "submitted", "points": "net", "coupons": "committed", "complaints": "filed"}[name]
        sums = [sum(told.tables[name][key].to_pylist()) for told in (mine, company, every)]
        assert abs(sums[0]) > 0
        assert len(set(sums)) == 3
    with pytest.raises(InputError, match="place is 'zenith/oakland'"):
        made_by(crm.acting_as(actor("manager")), places=[("zenith", "oakland")])
    with pytest.raises(AuthError):
        made_by(crm.acting_as(actor("agent")))


def test_both_databases_count_alike_and_an_empty_one_counts_nothing(database_url, tmp_path):
    with Crm.create(database_url, "fuel", keys=tmp_path / "crm.keys") as crm:
        nothing = report(crm.context, "month", SINCE, UNTIL, at_ms=AT_MS)
        assert nothing.tables["orders"]["submitted"].to_pylist() == [0, 0]
        assert [nothing.tables[name].num_rows for name in ("concentration", "energy", "channels")] == [
            0,
            0,
            0,
        ]
        fill(crm, crm.scope("acme", "san_francisco"), num_orders=100)
        told = report(crm.context, "month", SINCE, UNTIL, at_ms=AT_MS)
        assert sum(told.tables["orders"]["submitted"].to_pylist()) == 93
        assert sum(told.tables["energy"]["revenue_cents"].to_pylist()) == 338_132


def test_tables_are_written_as_files(told, tmp_path):
    written = told.write(tmp_path / "weekly.parquet")
    assert [path.name for path in written] == [f"weekly_{name}.parquet" for name in TITLES]
    assert pq.read_table(written[0]).equals(told.tables["orders"])
    assert (told.write(tmp_path / "weekly.csv")[0]).read_text().startswith('"period","submitted"')
    assert len(list(tmp_path.iterdir())) == 2 * len(TITLES)
    for path, message in ((tmp_path / "weekly.txt", "cannot tell"), (tmp_path / "no" / "a.csv", "folder")):
        with pytest.raises(InputError, match=message):
            told.write(path)


def test_formulas_are_texts_in_csv(told, tmp_path):
    """Names of coupons and channels are people's words."""
    names = pa.table({"coupon": ["=1+1", "ten"], "redeemed": [-3, 4]})
    made = replace(told, tables={"coupon_names": names})
    (path,) = made.write(tmp_path / "report.csv")
    assert path.read_text() == '"coupon","redeemed"\n"\'=1+1",-3\n"ten",4\n'
    assert pq.read_table(made.write(tmp_path / "report.parquet")[0]).equals(names)
