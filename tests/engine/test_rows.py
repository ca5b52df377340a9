from typing import ClassVar

import numpy as np

from dispatch.engine.rows import Rows


class Table(Rows):
    COLUMNS: ClassVar = {"number": (np.int64, 7), "share": (np.float64, 0.5)}


def test_rows_survive_growth_and_new_ones_are_fresh():
    table, expected = Table(), []
    for num_new in (3, 60, 1, 0, 500, 2, 9000, 1, 4100):
        added = table.append(num_new)
        assert (added.start, added.stop) == (len(expected), len(expected) + num_new)
        assert (table.number[added] == 7).all()
        assert (table.share[added] == 0.5).all()
        table.number[added] = np.arange(added.start, added.stop)
        expected += range(added.start, added.stop)
        assert table.number[: table.num_rows].tolist() == expected
        assert len(table.number) == len(table.share)


def test_kept_rows_close_up_and_freed_ones_are_fresh_again():
    table = Table()
    table.number[table.append(10)] = np.arange(10)
    table.keep(np.array([1, 4, 9]))
    assert table.number[: table.num_rows].tolist() == [1, 4, 9]
    assert table.number[table.append(3)].tolist() == [7, 7, 7]
    table.keep(np.arange(0))
    assert table.num_rows == 0
