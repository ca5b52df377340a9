"""What the training of a model of ETAs tells of itself, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from dispatch.units import MS_PER_S

GROUP: Final = "all of "
"""So begin the names of groups of features, whose gain is a sum of others."""
_MAX_VALUES: Final = 20
"""Of longer lists only the number of values is told."""


def split_gain(training: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, Any]]:
    """Take the gain of features, a mapping of names to numbers, out of what a training told of itself."""
    rest = dict(training)
    for key, value in training.items():
        numbers = isinstance(value, Mapping) and all(isinstance(one, int | float) for one in value.values())
        if "gain" in key and numbers and value:
            del rest[key]
            return {str(name): float(one) for name, one in value.items()}, rest
        if isinstance(value, Mapping):
            gain, rest[key] = split_gain(value)
            if gain:
                return gain, rest
    return {}, rest


def is_group(name: str) -> bool:
    """Whether a gain is that of a group of features."""
    return name.startswith(GROUP)


def ranked_gains(gain_of_feature: Mapping[str, float]) -> list[tuple[str, float]]:
    """Give gains as shares of those of all features, groups among them, the largest first."""
    total = sum(gain for name, gain in gain_of_feature.items() if not is_group(name)) or 1.0
    return sorted(((name, gain / total) for name, gain in gain_of_feature.items()), key=lambda one: -one[1])


def flat_report(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Give names and values of a training's report: the leaves of nested mappings; lists in a line."""
    if isinstance(value, Mapping):
        for key, held in value.items():
            own = str(key).removesuffix("_ms").replace("_", " ")
            is_instant = str(key).endswith("_ms") and isinstance(held, int)
            one = _instant(held) if is_instant else held
            yield from flat_report(one, f"{name}: {own}" if name else own[:1].upper() + own[1:])
    elif isinstance(value, list | tuple):
        if len(value) > _MAX_VALUES:
            yield name, f"{len(value):,} values"
        elif any(isinstance(one, Mapping | list | tuple) for one in value):
            for number, one in enumerate(value):
                yield from flat_report(one, f"{name} {number + 1}")
        else:
            yield name, ", ".join(map(_plain, value))
    else:
        yield name, _plain(value)


def _instant(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / MS_PER_S, UTC):%Y-%m-%d %H:%M} UTC"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.4g}" if isinstance(value, float) else "–" if value is None else str(value)
