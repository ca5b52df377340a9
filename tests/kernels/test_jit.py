from typing import NamedTuple

import numpy as np
import pytest

from dispatch.kernels.jit import (
    F64,
    I32,
    direct,
    f64,
    i64,
    kernel,
    load_all,
    record,
)
from kernel_signatures import compiled, registered, unregistered
from kernels.made_up import doubled, plus_one


class Pair(NamedTuple):
    row: np.ndarray
    share: float


def test_a_kernel_is_registered_under_its_module_and_name(scratch_registry):
    function = kernel((F64, F64))(doubled)
    (one,) = scratch_registry.values()
    assert (one.name, one.function) == ("made_up.doubled", function)
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
    assert complaint.startswith("made_up.doubled(")


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
    assert compiled(scratch_registry["made_up.plus_one"]) == registered(scratch_registry["made_up.plus_one"])
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


def test_a_kernel_called_directly_gives_the_same(scratch_registry):
    kernel((F64, F64))(doubled)
    out = np.empty(2)
    for _ in range(2):  # the first call compiles
        direct("made_up.doubled").call(np.array([1.0, 3.0]), out)
        assert out.tolist() == [2.0, 6.0]
        out[:] = 0
