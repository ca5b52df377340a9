"""Sums over groups, against plain loops."""

import numpy as np
import sqlalchemy as sa

from crm.conftest import MONDAY_MS
from crm.filled import fill
from crm.report_places import source_of
from dispatch.crm.reports.report_source import Groups, named_groups, ratio
from dispatch.crm.tables.orders import orders


def test_groups_count_add_and_average():
    random = np.random.default_rng(8)
    row, values = random.integers(0, 5, 200), random.integers(-1, 50, 200)
    chosen, groups = random.random(200) < 0.5, Groups(row, 6)
    for group in range(6):
        mine = [
            v
            for r, v, c in zip(row.tolist(), values.tolist(), chosen.tolist(), strict=True)
            if r == group and c
        ]
        known = [value for value in mine if value != -1]
        assert groups.count(chosen)[group] == len(mine)
        assert groups.total(values, chosen)[group] == sum(known)
        mean = groups.mean(values, chosen)[group].as_py()
        assert mean == (round(sum(known) / len(known)) if known else None)


def test_sums_beyond_two_to_the_53_are_exact():
    groups = Groups(np.zeros(3, np.int64), 1)
    assert groups.total(np.array([2**60, 1, 1]), np.ones(3, bool)).tolist() == [2**60 + 2]


def test_nothing_is_divided_by_nothing():
    assert ratio(np.array([1, 0, 3]), np.array([4, 0, 2])).to_pylist() == [0.25, None, 1.5]


def test_groups_of_texts_keep_the_known_sequence():
    names, groups = named_groups(np.array(["b", None, "z", "a"], object), ("z", "y"))
    assert names == ["z", "y", "a", "b", "unknown"]
    assert groups.row.tolist() == [3, 4, 0, 2]


def test_rows_come_as_arrays_from_both_databases(crm, scope_id):
    fill(crm, scope_id, num_orders=30, num_customers=5)
    other = crm.scope("acme", "oakland")
    with source_of(crm, [scope_id]) as source:
        query = sa.select(orders.c.order_id, orders.c.picked_up_at_ms, orders.c.channel)
        read = source.arrays(query.where(source.within(orders.c.scope_id)), texts=("channel",))
        assert read["order_id"].dtype == read["picked_up_at_ms"].dtype == np.int64
        assert len(read["order_id"]) == 30
        assert (read["picked_up_at_ms"] == -1).any()
        assert set(read["channel"].tolist()) <= {"app", "phone", "partner", None}
        today = source.arrays(query.where(source.in_span(orders.c.submitted_at_ms)), texts=("channel",))[
            "order_id"
        ]
        assert 0 < len(today) < 30
        none = source.arrays(query.where(orders.c.scope_id == other), texts=("channel",))
        assert [len(values) for values in none.values()] == [0, 0, 0]
    assert source.periods.from_ms == MONDAY_MS
