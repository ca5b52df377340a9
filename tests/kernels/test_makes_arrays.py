"""Where references to arrays are not counted, no array may be made: it would never be freed."""

import ast
import gc
import inspect
import sys
import textwrap

import pytest
from numba.core.runtime import _nrt_python, rtsys

from dispatch.kernels.jit import load_all
from dispatch.roads.all_pairs import AllPairsTimes
from dispatch.sim.runner import run
from simulated import busy_day

GIVES_NUMBERS_ONLY = {"sim_legs._by_hierarchy"}


def plain(one):
    return getattr(one.function, "py_func", one.function)


def counts(one):
    return one.function.targetoptions["_nrt"]


def called_kernels(one, by_function):
    """The kernels that a kernel calls by name, or by way of their module."""
    known = sys.modules[plain(one).__module__].__dict__
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(plain(one))))):
        if isinstance(node, ast.Call):
            target = node.func
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
                value = getattr(known.get(target.value.id), target.attr, None)
            else:
                value = known.get(getattr(target, "id", None))
            if id(value) in by_function:
                yield by_function[id(value)]


@pytest.mark.compiled
def test_kernels_that_make_no_arrays_call_none_that_do():
    kernels = load_all()
    by_function = {id(one.function): one for one in kernels.values()}
    wrong = {
        (one.name, callee.name)
        for one in kernels.values()
        if not counts(one)
        for callee in called_kernels(one, by_function)
        if counts(callee) and callee.name not in GIVES_NUMBERS_ONLY
    }
    assert wrong == set()
    assert {name for name, one in kernels.items() if counts(one)} > GIVES_NUMBERS_ONLY


@pytest.fixture
def num_arrays():
    """How many arrays of kernels are alive, asked by calling it."""
    was_on = _nrt_python.memsys_stats_enabled()
    _nrt_python.memsys_enable_stats()

    def count():
        gc.collect()
        stats = rtsys.get_allocation_stats()
        return stats.mi_alloc - stats.mi_free

    yield count
    if not was_on:
        _nrt_python.memsys_disable_stats()


@pytest.mark.compiled
@pytest.mark.parametrize("has_table", [True, False])
def test_a_simulated_day_leaves_no_array_behind(has_table, num_arrays, monkeypatch):
    monkeypatch.setattr(AllPairsTimes, "suits", staticmethod(lambda graph: has_table))
    scenario = busy_day(200, 10)
    run(scenario)  # what is kept from now on is kept
    before = num_arrays()
    run(scenario)
    assert num_arrays() == before
