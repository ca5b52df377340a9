"""A source of a report over one day, for tests of single tables."""

import datetime
from contextlib import contextmanager

from dispatch.crm.reports.periods import Periods
from dispatch.crm.reports.report_source import Source

TODAY = datetime.date(2023, 11, 20)


@contextmanager
def source_of(crm, scope_ids=None, at_ms=0):
    """What tables read, of 2023-11-20 in UTC."""
    with crm.context.database.reading() as connection:
        yield Source(connection, crm.context.vertical, Periods("day", TODAY, TODAY), scope_ids, at_ms)
