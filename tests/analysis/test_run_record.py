from dataclasses import FrozenInstanceError

import pytest

from analysis.runs import record


def test_a_record_is_frozen_and_complete_unless_told():
    run = record(1, "batch")
    assert not run.partial
    with pytest.raises(FrozenInstanceError):
        run.label = "other"
