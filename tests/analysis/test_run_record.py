from dataclasses import FrozenInstanceError

import pytest

from analysis.runs import log_in_city, record
from dispatch.analysis import kpis
from dispatch.analysis.run_record import RunRecord


def test_a_record_is_frozen_and_complete_unless_told():
    run = record(1, "batch")
    assert not run.partial
    with pytest.raises(FrozenInstanceError):
        run.label = "other"


@pytest.mark.parametrize("flags", [(False, False), (True, False), (False, True), (True, True)])
def test_what_is_void_shows_in_the_kpis(flags):
    void = dict(zip(("travel_is_predicted", "nobody_cancels"), flags, strict=True))
    events = log_in_city(1)
    assert RunRecord("x", {}, events, kpis(events, **void)).void == void
