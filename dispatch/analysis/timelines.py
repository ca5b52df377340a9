"""What some drivers did over the day: one row a driver, a colour for each state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.analysis.charts import (
    BIN_MINUTES,
    DAY_AT_MS,
    STATE_COLOURS,
    STATE_LABELS,
    Figure,
    RunTables,
    layout,
    time_axis,
)
from dispatch.analysis.driver_table import driver_spans
from dispatch.analysis.series import DRIVER_STATES
from dispatch.units import MS_PER_S, NO_INDEX

MAX_DRIVERS: Final = 40
STEP_MINUTES: Final = 2
"""About one pixel: a picture of states by time shows 20 times as fast as one line for each stretch."""
BREAK_COLOUR: Final = "#ebe4f2"
BREAK_LABEL: Final = "offline in between"
_MS_PER_MIN: Final = 60 * MS_PER_S
_STATES: Final = tuple(DRIVER_STATES)
_BREAK: Final = len(_STATES)


def sample_drivers(tables: Sequence[RunTables]) -> list[NDArray[np.int64]]:
    """Choose some drivers that were online, the same in all runs where there are any such.

    Returns
    -------
    list of (drivers,) int64
        For each run the ids, sorted; the same for the same logs.
    """
    online = [one.drivers.driver_id[one.drivers.online_ms > 0] for one in tables]
    common = online[0]
    for ids in online[1:]:
        common = np.intersect1d(common, ids)
    return [_sample(common if len(common) else ids) for ids in online]


def _sample(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    if len(ids) <= MAX_DRIVERS:
        return ids
    return np.sort(np.random.default_rng(0).choice(ids, MAX_DRIVERS, replace=False))


def timeline(one: RunTables, driver_id: NDArray[np.int64], all_tables: Sequence[RunTables]) -> Figure:
    """Draw what drivers did, those who started first on top.

    Parameters
    ----------
    one : RunTables
    driver_id : (drivers,) int64
        Whom to draw, sorted.
    all_tables : sequence of RunTables
        Their day is the chart's, so that several compare.

    Returns
    -------
    dict
        A picture of numbers; what each stands for is in ``labels``, and the drivers in ``names``.
    """
    minutes = np.concatenate([each.series.local_minute for each in all_tables])
    minute = np.arange(minutes.min(), minutes.max() + BIN_MINUTES, STEP_MINUTES) if len(minutes) else minutes
    midnight_ms = 0
    if len(one.series.from_at_ms):
        midnight_ms = int(one.series.from_at_ms[0]) - int(one.series.local_minute[0]) * _MS_PER_MIN
    middle_at_ms = midnight_ms + minute * _MS_PER_MIN + STEP_MINUTES * _MS_PER_MIN // 2
    state, started_at_ms = states_at(one, driver_id, middle_at_ms)
    by_start = np.argsort(started_at_ms, kind="stable")
    colours = [*(STATE_COLOURS[name] for name in _STATES), BREAK_COLOUR]
    width = 1 / len(colours)
    trace = {
        "type": "heatmap",
        "x": (DAY_AT_MS + (minute + STEP_MINUTES / 2) * _MS_PER_MIN).astype(np.int64).tolist(),
        "y": list(range(len(by_start))),
        "z": [[None if at == NO_INDEX else at for at in row] for row in state[by_start].tolist()],
        "zmin": -0.5,
        "zmax": len(colours) - 0.5,
        "colorscale": [[edge * width, colour] for at, colour in enumerate(colours) for edge in (at, at + 1)],
        "showscale": False,
        "ygap": 2,
        "hoverongaps": False,
        "hovertemplate": "%{text}, %{x|%H:%M}<extra></extra>",
    }
    return {
        "data": [trace],
        "labels": [*(STATE_LABELS[name] for name in _STATES), BREAK_LABEL],
        "names": [str(each) for each in driver_id[by_start].tolist()],
        "layout": layout(
            "local time",
            "",
            xaxis={**time_axis(all_tables), "showgrid": False},
            yaxis={"visible": False, "range": [len(by_start) - 0.4, -0.6]},
            height=84 + 11 * max(len(by_start), 8),
            hovermode="closest",
        ),
    }


def states_at(
    one: RunTables, driver_id: NDArray[np.int64], at_ms: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Look up what drivers did at some instants.

    Parameters
    ----------
    one : RunTables
    driver_id : (drivers,) int64
        Each was online at some time.
    at_ms : (n,) int64

    Returns
    -------
    state : (drivers, n) int64
        Row in ``DRIVER_STATES``, or the row after its last one between two stretches online; ``NO_INDEX``
        before the first and after the last one.
    started_at_ms : (drivers,) int64
        When the driver first came online.
    """
    spans = driver_spans(one.run.events)
    number_of_status = np.full(1 + max(max(statuses) for statuses in DRIVER_STATES.values()), NO_INDEX)
    for number, statuses in enumerate(DRIVER_STATES.values()):
        number_of_status[[int(status) for status in statuses]] = number
    first, end = (np.searchsorted(spans.driver_id, driver_id, side) for side in ("left", "right"))
    state = np.full((len(driver_id), len(at_ms)), NO_INDEX, np.int64)
    for row, (a, b) in enumerate(zip(first.tolist(), end.tolist(), strict=True)):
        begin, until = spans.from_at_ms[a:b], spans.to_at_ms[a:b]
        at = np.searchsorted(begin, at_ms, "right") - 1
        inside = (at >= 0) & (at_ms < until[-1])
        now = np.where(at_ms < until[at], number_of_status[spans.state[a:b]][at], _BREAK)
        state[row, inside] = now[inside]
    return state, spans.from_at_ms[first]
