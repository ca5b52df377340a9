"""A small city with recorded days, and the command run in this process."""

import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cities import grid_city, write_city, write_csv
from dispatch import cli
from sim.test_recorded_day import columns_of, pings_of, trips_on


@pytest.fixture(scope="package")
def city(tmp_path_factory):
    """A folder with two days of trips in the hour after one, and with pings of the first."""
    folder = write_city(tmp_path_factory.mktemp("cities") / "gridville", grid_city())
    write_csv(folder / "trips.csv", columns_of(trips_on(0), trips_on(1, 30)))
    pq.write_table(pa.table(pings_of()), folder / "pings.parquet")
    return folder


@pytest.fixture
def dispatch(monkeypatch, capsys):
    """Runs the command in this process; gives its exit status, output and complaints."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["dispatch", *(str(argument) for argument in arguments)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        said = capsys.readouterr()
        return left.value.code or 0, said.out, said.err

    return call
