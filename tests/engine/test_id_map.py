import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.engine.id_map import IdMap
from dispatch.errors import InputError
from dispatch.units import NO_INDEX

IDS = st.lists(st.integers(0, 2**63 - 1) | st.integers(0, 300), unique=True, max_size=300)


@settings(deadline=None, max_examples=60)
@given(IDS, st.integers(1, 90))
def test_rows_follow_the_sequence_of_entry_however_it_grows(ids, batch):
    ids = np.array(ids, np.int64)
    ids_by_id, row_of_id = IdMap(), {}
    for begin in range(0, len(ids), batch):
        part = ids[begin : begin + batch]
        ids_by_id.append(part, ids, begin)
        row_of_id |= {int(one): begin + i for i, one in enumerate(part)}
        assert ids_by_id.rows(ids).tolist() == [row_of_id.get(int(one), NO_INDEX) for one in ids]
        assert 2 * len(row_of_id) <= len(ids_by_id.slot_id)


@settings(deadline=None, max_examples=40)
@given(IDS, st.data())
def test_rebuild_forgets_what_is_not_given(ids, data):
    ids = np.array(ids, np.int64)
    id_map = IdMap()
    id_map.append(ids, np.empty(0, np.int64), 0)
    kept = ids[np.array(data.draw(st.lists(st.booleans(), min_size=len(ids), max_size=len(ids))), bool)]
    id_map.rebuild(kept.copy())
    row_of_id = {int(one): row for row, one in enumerate(kept)}
    assert id_map.rows(ids).tolist() == [row_of_id.get(int(one), NO_INDEX) for one in ids]


def test_the_first_unknown_id_is_named():
    id_map = IdMap()
    id_map.append(np.array([5, 6]), np.empty(0, np.int64), 0)
    assert id_map.known_rows(np.array([6, 5]), "order_id").tolist() == [1, 0]
    with pytest.raises(InputError, match=r"order_id\[1\] is 7: no such order is known"):
        id_map.known_rows(np.array([6, 7, 8]), "order_id")
