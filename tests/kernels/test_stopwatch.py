"""The stopwatch sees every call of a kernel, and leaves nothing behind."""

import sys
import types

import numpy as np
import pytest

from dispatch.kernels import stopwatch as module_of_stopwatch
from dispatch.kernels.jit import F64, Kernel, direct, i64, kernel
from dispatch.kernels.stopwatch import stopwatch
from kernels.made_up import doubled, plus_one


@pytest.fixture
def made_up_modules(scratch_registry, monkeypatch):
    """Two modules of the package, of which one holds the other's kernel under a name of its own."""
    of_kernels, caller = types.ModuleType("dispatch.made_up_kernels"), types.ModuleType("dispatch.made_up")
    of_kernels.doubled = caller.twice = kernel((F64, F64))(doubled)
    of_kernels.helper = kernel()(plus_one)
    monkeypatch.setitem(sys.modules, of_kernels.__name__, of_kernels)
    monkeypatch.setitem(sys.modules, caller.__name__, caller)
    return of_kernels, caller


def test_the_stopwatch_counts_calls_by_whatever_name(made_up_modules):
    of_kernels, caller = made_up_modules
    out = np.empty(2)
    with stopwatch() as watch:
        for _ in range(3):
            caller.twice(np.ones(2), out)
        of_kernels.doubled(np.full(2, 2.0), out)
        assert of_kernels.helper(1) == 2
    assert out.tolist() == [4.0, 4.0]
    assert watch.calls == {"made_up.doubled": 4}
    assert watch.seconds.keys() == watch.calls.keys()
    assert 0 < watch.total_s == watch.seconds["made_up.doubled"] < 1


def test_the_stopwatch_counts_direct_calls(scratch_registry):
    kernel((F64, F64))(doubled)
    one, out = direct("made_up.doubled"), np.empty(2)
    with stopwatch() as watch:
        one.call(np.ones(2), out)
        one.call(np.ones(2), out)
    one.call(np.ones(2), out)
    assert watch.calls == {"made_up.doubled": 2}
    assert out.tolist() == [2.0, 2.0]


def test_the_stopwatch_takes_the_time_of_a_kernel_alone(scratch_registry, monkeypatch):
    """Of a clock that a kernel moves on by 5 s, and Python by 70."""
    now_s = [0.0]
    module = types.ModuleType("dispatch.made_up")

    def slow():
        now_s[0] += 5

    module.slow = slow
    scratch_registry["x.slow"] = Kernel("x.slow", slow, ((),))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(module_of_stopwatch.time, "perf_counter", lambda: now_s[0])
    with stopwatch() as watch:
        now_s[0] += 70
        module.slow()
        module.slow()
    assert (watch.seconds, watch.total_s) == ({"x.slow": 10.0}, 10.0)


def test_kernels_that_a_kernel_calls_as_plain_python_count_in_it(scratch_registry, monkeypatch):
    module = types.ModuleType("dispatch.made_up")
    module.inner = plus_one
    module.outer = lambda value: module.inner(module.inner(value))
    for name in ("inner", "outer"):
        scratch_registry[name] = Kernel(name, getattr(module, name), ((i64,),))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with stopwatch() as watch:
        assert module.outer(1) == 3
        assert module.inner(1) == 2
    assert watch.calls == {"outer": 1, "inner": 1}


def test_all_is_as_before_after_the_stopwatch_also_where_a_kernel_fails(
    made_up_modules, scratch_registry, monkeypatch
):
    of_kernels, caller = made_up_modules
    before = caller.twice
    late = types.ModuleType("dispatch.made_up_later")

    def fails(_):
        raise ValueError

    of_kernels.fails = fails
    scratch_registry["fails"] = Kernel("fails", fails, ((),))

    def watch_it():
        with stopwatch() as watch:
            watches.append(watch)
            assert caller.twice is not before
            late.twice = caller.twice
            monkeypatch.setitem(sys.modules, late.__name__, late)
            of_kernels.fails(1)

    watches = []
    with pytest.raises(ValueError):
        watch_it()
    (watch,) = watches
    assert of_kernels.doubled is caller.twice is before
    assert of_kernels.fails is fails
    assert late.twice is before
    assert watch.calls == {"fails": 1}
    before(np.ones(2), np.empty(2))
    assert watch.calls == {"fails": 1}


@pytest.mark.compiled
def test_a_watched_step_of_the_engine_is_the_same_and_its_kernels_are_seen():
    from dispatch.roads.city import City
    from dispatch.sim.runner import run
    from dispatch.sim.scenario import made_up_day

    scenario = made_up_day(City.synthetic(seed=1, num_nodes_about=2000), 100, 8)
    plain = run(scenario)
    with stopwatch() as watch:
        watched = run(scenario)
    assert np.array_equal(plain.events, watched.events)
    assert {"simulate.begin", "assignment.assign"} <= watch.calls.keys()
    assert watch.total_s < watched.setup_s + watched.wall_s
