import pytest
from hypothesis import given, strategies as st

from dispatch.analysis.kpi_list import KPI
from dispatch.analysis.paired import Interval
from dispatch.errors import InputError
from dispatch.sim.fleet_size import (
    FleetRange,
    Stopped,
    Target,
    Trial,
    find_fleet,
    least_passing,
    read_target,
    usual_fleet,
    usual_range,
)
from dispatch.sim.sweep_store import RunStore
from dispatch.sim.sweep_workers import Workers
from sim.tiny_sweeps import TINY


class Asked:
    """A made-up yes or no for each fleet, with a memory of what was asked."""

    def __init__(self, passes):
        self.passes, self.tried = passes, []

    def __call__(self, fleets):
        self.tried += [fleet for fleet in fleets if fleet not in self.tried]
        return [self.passes(fleet) for fleet in fleets]


ranges = st.builds(
    lambda low, num, step: range(low, low + num * step, step),
    st.integers(1, 50), st.integers(1, 400), st.integers(1, 20),
)  # fmt: skip


@given(ranges, st.data())
def test_where_larger_fleets_never_fail_it_is_the_least(fleets, data):
    start = data.draw(st.integers(0, len(fleets) - 1))
    need = data.draw(st.integers(0, fleets[-1] + 10))
    asked = Asked(lambda fleet: fleet >= need)
    truth = next((fleet for fleet in fleets if fleet >= need), None)
    assert least_passing(asked, fleets, start) == truth
    # Doubling, halving and closing the gap; then two neighbours on either side.
    if truth is not None:
        assert len(asked.tried) <= 2 * len(fleets).bit_length() + 6


@given(ranges, st.data())
def test_where_any_may_fail_the_answer_passes_and_those_just_below_fail(fleets, data):
    passing = set(data.draw(st.lists(st.sampled_from(fleets))))
    asked = Asked(passing.__contains__)
    found = least_passing(asked, fleets, data.draw(st.integers(0, len(fleets) - 1)))
    tried_passing = passing.intersection(asked.tried)
    if found is None:
        assert not tried_passing
        assert fleets[-1] in asked.tried
        return
    assert found == min(tried_passing)
    row = fleets.index(found)
    for below in fleets[max(row - 2, 0) : row]:
        assert below in asked.tried
        assert below not in passing
    assert all(above in asked.tried for above in fleets[row : row + 3])


def test_smaller_fleets_are_tried_where_no_larger_one_passes():
    asked = Asked(lambda fleet: fleet <= 30)
    assert least_passing(asked, range(1, 1001), 99) == 1
    asked = Asked(lambda fleet: 20 <= fleet <= 30)
    assert least_passing(asked, range(1, 1001), 99) == 20


def test_targets_and_how_they_are_named():
    assert read_target("golden10=0.95") == Target(KPI["golden10_share"], 0.95, "up")
    assert read_target("golden5>=0.9").kpi is KPI["golden5_share"]
    assert read_target("completion = 1").kpi is KPI["completion_share"]
    assert read_target("wait_mean=300") == read_target("wait_mean_s<=300")
    assert str(read_target("wait_mean_s=300")) == "Wait, mean ≤ 5 min 00 s"
    assert str(read_target("golden10=0.95")) == "Golden ten minutes ≥ 95.0 %"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("golden10", "target is 'golden10': it must be KPI=VALUE"),
        ("golden11=0.9", "target names golden11: there is no such KPI; did you mean golden10?"),
        ("waitmean=3", "there is no such KPI; did you mean wait_mean_s?"),
        ("zzz=1", "there is no such KPI; they are completion_share, "),
        ("golden10=95", "target golden10_share is 95.0: it must be a number from 0 to 1"),
        ("golden10=nan", "target golden10_share is nan: it must be"),
        ("golden10=most", "'most' must be a number"),
        ("golden10<=0.9", "of golden10_share, more is better"),
        ("wait_mean_s>=100", "of wait_mean_s, less is better"),
        ("busy=0.5", "of busy_share neither more nor less is better"),
        ("wait_mean_s=-1", "target wait_mean_s is -1.0: it must be"),
    ],
)
def test_a_wrong_target(text, message):
    with pytest.raises(InputError) as told:
        read_target(text)
    assert message in str(told.value)


def test_means_or_the_worse_ends_of_intervals_are_held_against_a_target():
    golden, wait = read_target("golden10=0.95"), read_target("wait_mean=300")
    found = Interval(3, 0.96, 0.94, 0.98)
    assert golden.is_met(golden.judged(found, by_interval=False))
    assert not golden.is_met(golden.judged(found, by_interval=True))
    found = Interval(3, 290.0, 270.0, 310.0)
    assert wait.is_met(wait.judged(found, by_interval=False))
    assert not wait.is_met(wait.judged(found, by_interval=True))
    assert not golden.is_met(None)


def test_ranges():
    assert usual_range(100) == FleetRange(1, 1600)
    assert usual_range(100, step=25) == FleetRange(25, 1600, 25)
    assert usual_range(100, 50, 70, 10).fleets == range(50, 71, 10)
    assert usual_range(900_000).high == 1_000_000
    assert FleetRange(10, 100, 10).nearest(34) == 2
    assert FleetRange(10, 100, 10).nearest(5000) == 9
    for low, high, step in ((0, 5, 1), (10, 9, 1), (1, 10, 0)):
        with pytest.raises(InputError):
            FleetRange(low, high, step)
    assert usual_fleet(TINY) == 10


@pytest.fixture(scope="module")
def workers():
    with Workers(1) as workers:
        yield workers


@pytest.mark.long
def test_a_search_by_simulation(workers, tmp_path):
    store = RunStore(None, TINY, "code")
    told = []
    trial = Trial(store, workers, on_fleets=told.append)
    targets = [read_target("golden10=0.9"), read_target("completion=0.9")]
    found = find_fleet(TINY, targets, FleetRange(2, 40, 2), 10, 2, None, trial)
    assert found.num_drivers is not None
    assert list(found.fleets) == sorted({fleet for one in told for fleet in one.fleets})
    assert len(store) == 2 * len(found.fleets)
    row = found.fleets.index(found.num_drivers)
    assert found.passes(row)
    assert not any(found.passes(below) for below in range(row))
    assert found.next_below == found.num_drivers - 2
    for target in targets:
        assert target.is_met(found.table.interval(row, target.kpi.name).mean)
    # All is remembered: the search again makes no run, and finds the same.
    made_before = len(store)
    again = find_fleet(TINY, targets, FleetRange(2, 40, 2), 10, 2, None, trial)
    assert (again.num_drivers, again.fleets, len(store)) == (found.num_drivers, found.fleets, made_before)


def test_a_target_out_of_reach_tells_the_best(workers):
    trial = Trial(RunStore(None, TINY, "code"), workers)
    found = find_fleet(TINY, [read_target("utilisation=0.99")], FleetRange(5, 20, 5), 10, 1, None, trial)
    assert found.num_drivers is None
    assert found.next_below is None
    assert found.larger_failing == ()
    fleet, value = found.best(found.targets[0])
    assert value == max(found.judged(row, found.targets[0]) for row in range(len(found.fleets)))
    assert fleet == min(found.fleets)
    never = read_target("pickup_eta_mae=10")
    found = find_fleet(TINY, [never], FleetRange(10, 20, 10), 10, 1, None, trial)
    assert (found.num_drivers, found.best(never)) == (None, None)


def test_what_a_search_refuses(workers):
    trial = Trial(RunStore(None, TINY, "code"), workers)
    with pytest.raises(InputError, match="target is missing"):
        find_fleet(TINY, [], FleetRange(1, 10), 5, 1, None, trial)
    with pytest.raises(InputError, match="seeds is 1: an interval needs 2 at least"):
        find_fleet(TINY, [read_target("golden10=0.9")], FleetRange(1, 10), 5, 1, 0.95, trial)
    stopped = Trial(trial.store, workers, should_stop=lambda: True)
    with pytest.raises(Stopped, match="stopped after 0 fleets"):
        find_fleet(TINY, [read_target("golden10=0.9")], FleetRange(1, 10), 5, 1, None, stopped)
