import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest

from dispatch.kernels import jit
from dispatch.kernels.jit import F64, I32, Kernel, f64, i64, kernel, load_all, record, warm_up
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
    function = kernel((F64, F64))(doubled)
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
