import subprocess
import sys
import types
from typing import NamedTuple

import numpy as np
import pytest

from dispatch.kernels import jit
from dispatch.kernels.jit import (
    F64,
    I32,
    Kernel,
    direct,
    f64,
    i64,
    kernel,
    load_all,
    record,
    stopwatch,
    warm_up,
)
from kernel_signatures import compiled, registered, unregistered


class Pair(NamedTuple):
    row: np.ndarray
    share: float


@pytest.fixture
def scratch_registry(monkeypatch):
    """A registry of this test's own: kernels declared in it are not the package's."""
    load_all()  # a module first loaded now would be missing from the real registry
    monkeypatch.setattr(jit, "KERNELS", {})
    return jit.KERNELS


def doubled(values, out_values):
    for i in range(len(values)):
        out_values[i] = 2 * values[i]


def plus_one(value):
    return value + 1


def test_a_kernel_is_registered_under_its_module_and_name(scratch_registry):
    function = kernel((F64, F64))(doubled)
    (one,) = scratch_registry.values()
    assert (one.name, one.function) == ("test_jit.doubled", function)
    assert one.signatures == ((F64, F64),)
    values, out_values = np.array([1.0, 2.5]), np.empty(2)
    function(values, out_values)
    assert out_values.tolist() == [2.0, 5.0]


def test_every_module_is_loaded():
    modules = {name.split(".")[0] for name in load_all()}
    assert {"geo", "grid", "labels", "augmentation", "transition"} <= modules


def test_kernels_release_the_lock_and_are_exact():
    for one in load_all().values():
        options = getattr(one.function, "targetoptions", {"nogil": True})
        assert options["nogil"], one.name
        assert not options.get("fastmath"), one.name
        assert not options.get("parallel"), one.name


def test_warm_up_tells_each_kernel_and_the_end():
    told = []
    assert warm_up(lambda *step: told.append(step)) > 0
    names = [one.name for one in load_all().values() if one.signatures]
    assert told == [(name, i, len(names)) for i, name in enumerate([*names, ""])]


@pytest.mark.compiled
def test_warm_up_compiles_the_registered_signatures_and_no_others():
    code = """
from dispatch.kernels.jit import warm_up, load_all
from kernel_signatures import compiled, registered
warm_up()
kernels = load_all().values()
assert any(one.signatures for one in kernels)
for one in kernels:
    assert not one.signatures or compiled(one) == registered(one), (one.name, compiled(one), registered(one))
"""
    run = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path = {sys.path!r}\n{code}"], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.compiled
@pytest.mark.parametrize(
    "values",
    [np.zeros(4)[::2], np.zeros(2, np.float32), [0.0, 0.0]],
    ids=["strided", "of another type", "a list"],
)
@pytest.mark.filterwarnings("ignore::numba.core.errors.NumbaPendingDeprecationWarning")
def test_another_signature_is_noticed(scratch_registry, values):
    function = kernel((F64, F64), makes_arrays=True)(doubled)
    function.compile((F64, F64))
    assert unregistered(scratch_registry) == []
    function(values, np.empty(2))
    (complaint,) = unregistered(scratch_registry)
    assert complaint.startswith("test_jit.doubled(")


@pytest.mark.compiled
def test_read_only_input_is_noticed(scratch_registry):
    function = kernel((F64, F64))(doubled)
    values = np.zeros(2)
    values.flags.writeable = False
    function(values, np.empty(2))
    assert len(unregistered(scratch_registry)) == 1


@pytest.mark.compiled
def test_helpers_may_take_any_type_but_no_strided_array(scratch_registry):
    helper = kernel()(doubled)
    helper(np.zeros(2), np.zeros(2))
    helper(np.zeros(2, np.int32), np.zeros(2))
    assert unregistered(scratch_registry) == []
    helper(np.zeros(4)[::2], np.zeros(2))
    assert len(unregistered(scratch_registry)) == 1


@pytest.mark.compiled
def test_scalars_of_another_width_are_noticed(scratch_registry):
    function = kernel((i64,))(plus_one)
    function(3)
    assert compiled(scratch_registry["test_jit.plus_one"]) == registered(
        scratch_registry["test_jit.plus_one"]
    )
    function(np.int32(3))
    assert len(unregistered(scratch_registry)) == 1


@pytest.mark.compiled
def test_a_record_is_the_type_of_its_tuple():
    from numba import typeof

    assert typeof(Pair(np.zeros(1, np.int32), 0.5)) == record(Pair, I32, f64)

    class Same(NamedTuple):
        x: np.ndarray
        y: np.ndarray

    assert typeof(Same(np.zeros(1), np.zeros(1))) == record(Same, F64, F64)


def test_a_kernel_without_signatures_is_a_helper_that_warm_up_passes_by(scratch_registry):
    def fails_if_called(*_):
        raise AssertionError

    scratch_registry["helper"] = Kernel("helper", fails_if_called, ())
    told = []
    warm_up(lambda *step: told.append(step[0]))
    assert "helper" not in told


# --- the stopwatch -------------------------------------------------------------------------------


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
    assert watch.calls == {"test_jit.doubled": 4}
    assert watch.seconds.keys() == watch.calls.keys()
    assert 0 < watch.total_s == watch.seconds["test_jit.doubled"] < 1


def test_a_kernel_called_directly_gives_the_same(scratch_registry):
    kernel((F64, F64))(doubled)
    out = np.empty(2)
    for _ in range(2):  # the first call compiles
        direct("test_jit.doubled").call(np.array([1.0, 3.0]), out)
        assert out.tolist() == [2.0, 6.0]
        out[:] = 0


def test_the_stopwatch_counts_direct_calls(scratch_registry):
    kernel((F64, F64))(doubled)
    one, out = direct("test_jit.doubled"), np.empty(2)
    with stopwatch() as watch:
        one.call(np.ones(2), out)
        one.call(np.ones(2), out)
    one.call(np.ones(2), out)
    assert watch.calls == {"test_jit.doubled": 2}
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
    monkeypatch.setattr(jit.time, "perf_counter", lambda: now_s[0])
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
