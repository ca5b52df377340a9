"""Range checks of parameters: an error names the field, the value and the rule."""

from __future__ import annotations

import math

import numpy as np

from dispatch.errors import InputError


def check_range(name: str, value: float, low: float, high: float = math.inf, unit: str = "") -> None:
    """Raise :class:`InputError` unless ``low <= value <= high``."""
    if isinstance(value, bool) or not (
        isinstance(value, int | float | np.integer | np.floating) and low <= value <= high
    ):
        limits = f"at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
        raise InputError(f"{name} is {value!r}: it must be a number {limits}{' ' + unit if unit else ''}")


def check_whole(name: str, value: float, low: float, high: float) -> None:
    """Raise :class:`InputError` unless `value` is a whole number and ``low <= value <= high``."""
    check_range(name, value, low, high)
    if not isinstance(value, int | np.integer):
        raise InputError(f"{name} is {value!r}: it must be a whole number")


def check_seed(seed: float) -> None:
    """Raise :class:`InputError` unless `seed` can seed a random generator."""
    check_whole("seed", seed, 0, 2**64)
