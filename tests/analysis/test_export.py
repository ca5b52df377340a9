import json

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from analysis.runs import CITY, log_in_city, record
from dispatch.analysis.driver_table import driver_table
from dispatch.analysis.export import as_table, export_run, write_table
from dispatch.analysis.groups import kpis_by
from dispatch.analysis.kpi_list import KPI
from dispatch.analysis.kpis import kpis
from dispatch.analysis.order_table import order_table
from dispatch.engine.events import EVENT_DTYPE, read_log
from dispatch.errors import InputError
from dispatch.roads.zones import grid_zones

EVENTS = log_in_city(1)
WHAT = {
    "kpis": kpis(EVENTS),
    "groups": kpis_by(EVENTS, "tier"),
    "drivers": driver_table(EVENTS),
    "orders": order_table(EVENTS),
}
READERS = {
    ".parquet": pq.read_table,
    ".csv": pyarrow.csv.read_csv,
    ".json": lambda path: pa.Table.from_pylist(json.loads(path.read_text(encoding="utf-8"))),
}


@pytest.mark.parametrize("ending", READERS)
@pytest.mark.parametrize("name", ["groups", "drivers", "orders"])
def test_what_was_written_is_read_again(tmp_path, name, ending):
    path = tmp_path / f"table{ending}"
    write_table(WHAT[name], path)
    expected = as_table(WHAT[name])
    assert expected.num_rows > 2
    assert READERS[ending](path).select(expected.schema.names).to_pylist() == expected.to_pylist()
    assert list(tmp_path.iterdir()) == [path]


def test_kpis_as_json_are_values_by_name(tmp_path):
    path = tmp_path / "kpis.JSON"
    write_table(WHAT["kpis"], path)
    assert json.loads(path.read_text()) == dict(WHAT["kpis"])
    write_table(WHAT["kpis"], tmp_path / "kpis.csv")
    assert pyarrow.csv.read_csv(tmp_path / "kpis.csv")["kpi"].to_pylist() == list(KPI)


def test_sentinels_become_empty_cells():
    orders = WHAT["orders"]
    table = as_table(orders)
    never = orders.dropped_off_at_ms == -1
    assert 0 < never.sum() < len(orders)
    assert np.array_equal(table["dropped_off_at_ms"].is_null().to_numpy(), never)
    assert table["wait_ms"].null_count == (orders.wait_ms == -1).sum()
    assert table["pickup_lon_e6"].null_count == 0
    assert -1 not in table["tier"].to_pylist()


def test_an_empty_table_has_its_columns(tmp_path):
    empty = order_table(np.empty(0, EVENT_DTYPE))
    write_table(empty, tmp_path / "orders.json")
    assert json.loads((tmp_path / "orders.json").read_text()) == []
    write_table(empty, tmp_path / "orders.parquet")
    assert pq.read_table(tmp_path / "orders.parquet").schema == as_table(WHAT["orders"]).schema


@pytest.mark.parametrize("name", ["kpis.xlsx", "kpis", "parquet"])
def test_an_unknown_ending_is_refused_with_the_known_ones(tmp_path, name):
    with pytest.raises(InputError, match=r"use one of \.parquet, \.csv, \.json"):
        write_table(WHAT["kpis"], tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="its folder does not exist"):
        write_table(WHAT["kpis"], tmp_path / "none" / "kpis.csv")


def test_a_run_becomes_a_folder(tmp_path):
    run, folder = record(1, "batch", timezone="America/New_York"), tmp_path / "run"
    zones = grid_zones(CITY, 1000)
    written = export_run(folder, run, zones)
    groupings = ("hour", "zone", "tier", "first")
    names = {f"kpis_by_{by}.parquet" for by in groupings} | {"kpis.json", "events.parquet"}
    names |= {"drivers.parquet", "drivers.csv", "orders.parquet"}
    assert {path.name for path in written} == {path.name for path in folder.iterdir()} == names
    assert np.array_equal(read_log(folder / "events.parquet"), run.events)
    assert json.loads((folder / "kpis.json").read_text()) == dict(run.kpis)
    by_hour = pq.read_table(folder / "kpis_by_hour.parquet")
    assert (
        by_hour == kpis_by(run.events, "hour", timezone="America/New_York", travel_is_predicted=True).table()
    )
    assert set(pq.read_table(folder / "kpis_by_zone.parquet")["group"].to_pylist()) <= set(zones.name)
    export_run(folder, run, zones)


def test_what_a_log_does_not_tell_is_not_written(tmp_path):
    names = {path.name for path in export_run(tmp_path, record(4, "batch"))}
    assert "kpis_by_hour.parquet" in names
    assert not names & {"kpis_by_zone.parquet", "kpis_by_tier.parquet", "kpis_by_first.parquet"}


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "none" / "run"):
        with pytest.raises(InputError, match="is no folder and cannot be made"):
            export_run(place, record(1, "batch"))
