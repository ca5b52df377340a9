"""An operating report of three weeks of two cities, and one of nothing."""

import datetime
from functools import cache
from tempfile import TemporaryDirectory

from crm.filled import DAY_MS, MONDAY_MS, fill
from dispatch.crm.crm import Crm
from dispatch.crm.reports.reports import Report, report

SINCE = datetime.date(2023, 11, 20)


@cache
def crm_report(*, filled: bool = True) -> Report:
    """By day, over three weeks."""
    with TemporaryDirectory() as folder, Crm.create(f"{folder}/crm.db", "ride") as crm:
        for seed, city in enumerate(("san_francisco", "oak<land>"), 3):
            scope_id = crm.scope("acme", city)
            if filled:
                fill(crm, scope_id, num_orders=500, num_customers=80, num_days=21, seed=seed)
        until = SINCE + datetime.timedelta(days=20)
        return report(crm.context, "day", SINCE, until, at_ms=MONDAY_MS + 20 * DAY_MS)
