import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays

from dispatch.analysis.player_codec import decode_columns, encode_columns
from dispatch.errors import InputError

COLUMN = st.one_of(
    arrays(np.int32, st.integers(0, 40)),
    arrays(np.uint8, st.integers(0, 40)),
    arrays(np.int32, st.integers(0, 40), elements=st.sampled_from([-(2**31), -1, 0, 1, 2**31 - 1])),
)


@given(st.dictionaries(st.text(max_size=5), COLUMN, max_size=5))
def test_what_is_packed_is_unpacked(columns):
    header, text = encode_columns(columns)
    found = decode_columns(header, text)
    assert list(found) == list(columns)
    for name, column in columns.items():
        assert found[name].dtype == column.dtype
        np.testing.assert_array_equal(found[name], column)


def test_slow_changes_take_little_room():
    steady = np.arange(100_000, dtype=np.int32) * 30_000
    assert len(encode_columns({"at": steady})[1]) < 2000


def test_other_types_are_refused():
    with pytest.raises(InputError, match="column at holds int64: only int32 and uint8"):
        encode_columns({"at": np.arange(3)})
