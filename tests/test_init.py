import subprocess
import sys
from importlib import import_module

import pytest

import dispatch

HEAVY = ("numba", "numpy", "scipy", "pyarrow", "shapely", "pyproj", "rich", "typer", "plotly")


def test_import_alone_is_light():
    code = f"""
import sys
import dispatch
print(*(name for name in sys.modules if name.partition(".")[0] in {("dispatch", *HEAVY)}))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stderr == ""
    assert set(run.stdout.split()) == {"dispatch", "dispatch.errors"}


@pytest.mark.parametrize("name", dispatch.__all__)
def test_public_names_are_there_and_documented(name):
    thing = getattr(dispatch, name)
    assert name in dir(dispatch)
    assert thing.__doc__
    assert thing.__name__ == name
    assert getattr(import_module(thing.__module__), name) is thing


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Dispatch'"):
        dispatch.Dispatch  # noqa: B018 - reading it is the test


def test_the_engine_needs_neither_terminal_nor_charts_nor_simulator():
    code = """
import sys
import dispatch.engine.dispatcher
unwanted = ("rich", "typer", "plotly", "dispatch.sim", "dispatch.analysis", "dispatch.cli")
print(*(name for name in unwanted if name in sys.modules))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "\n"), run.stderr
