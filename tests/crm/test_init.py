"""The door of the package: all that the methods of the face are told can be imported from it."""

import inspect
import subprocess
import sys
import typing
from functools import cached_property
from importlib import import_module

import pytest

from dispatch import crm
from dispatch.crm.crm import Crm


def parts(hint):
    """A type, and those within it."""
    yield hint
    for one in typing.get_args(hint):
        yield from parts(one)


def test_what_methods_are_told_is_there():
    told = set()
    for part in vars(Crm).values():
        if isinstance(part, cached_property):
            kind = typing.get_type_hints(part.func)["return"]
            for name, method in vars(kind).items():
                if inspect.isfunction(method) and not name.startswith("_"):
                    hints = typing.get_type_hints(method)
                    hints.pop("return", None)
                    told |= {one for hint in hints.values() for one in parts(hint) if inspect.isclass(one)}
    of_crm = {one.__name__ for one in told if one.__module__.startswith("dispatch.crm.")}
    assert {"Booking", "CouponTerms", "Gain", "NewComplaint", "Compensation", "DriverDetails"} <= of_crm
    assert of_crm <= set(crm.__all__)


@pytest.mark.parametrize("name", crm.__all__)
def test_names_are_there_and_documented(name):
    thing = getattr(crm, name)
    assert name in dir(crm)
    assert thing.__doc__
    assert thing.__name__ == name
    assert getattr(import_module(thing.__module__), name) is thing


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Bookings'"):
        crm.Bookings  # noqa: B018 - reading it is the test


def test_import_alone_is_light():
    code = (
        "import sys, dispatch.crm; print(*(name for name in ('sqlalchemy', 'numpy') if name in sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "\n"), run.stderr
