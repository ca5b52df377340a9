"""Days, weeks and months by a local clock, against the standard library instant by instant."""

import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from dispatch.crm.reports.periods import Periods
from dispatch.errors import InputError

DAY = datetime.date


@pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles", "Asia/Kathmandu", "Australia/Lord_Howe"])
@pytest.mark.parametrize("kind", ["day", "week", "month"])
def test_instants_fall_where_a_clock_says(zone, kind):
    periods = Periods(kind, DAY(2024, 2, 20), DAY(2024, 4, 20), zone)
    at_ms = np.random.default_rng(2).integers(periods.from_ms, periods.until_ms, 3000)
    at_ms = np.append(at_ms, [periods.from_ms, periods.until_ms - 1])
    rows, hours = periods.rows(at_ms), periods.hours(at_ms)
    for at, row, hour in zip(at_ms.tolist(), rows.tolist(), hours.tolist(), strict=True):
        local = datetime.datetime.fromtimestamp(at / 1000, ZoneInfo(zone))
        year, week, _ = local.isocalendar()
        told = {"day": f"{local:%Y-%m-%d}", "week": f"{year}-W{week:02d}", "month": f"{local:%Y-%m}"}[kind]
        assert (periods.labels[row], hour) == (told, local.hour)
    assert set(rows.tolist()) == set(range(len(periods.labels)))


def test_a_day_on_which_clocks_change_is_shorter():
    periods = Periods("day", DAY(2024, 3, 10), DAY(2024, 3, 10), "America/Los_Angeles")
    assert periods.until_ms - periods.from_ms == 23 * 3_600_000
    assert periods.labels == ("2024-03-10",)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (("year", DAY(2024, 1, 1), DAY(2024, 1, 2)), "period is 'year'"),
        (("day", DAY(2024, 1, 2), DAY(2024, 1, 1)), "until is 2024-01-01: it must not be before since"),
        (("day", DAY(2000, 1, 2), DAY(2024, 1, 1)), "3660 days at most"),
        (("day", DAY(2024, 1, 1), DAY(2024, 1, 2), "Mars/Olympus"), "Mars/Olympus"),
    ],
)
def test_what_is_no_span(told, message):
    with pytest.raises(InputError, match=message):
        Periods(*told)
