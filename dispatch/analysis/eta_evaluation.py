"""How good predicted durations are, and how far what they say of their own uncertainty holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dispatch.analysis.eta_groups import (
    BAND_H,
    EtaGroup,
    LocalTime,
    Route,
    groupings,
    measure_groups,
    measure_routes,
)
from dispatch.analysis.eta_measures import (
    Between,
    BlockBootstrap,
    ErrorFigures,
    QuantileFigures,
    pinball_s,
    shares_between,
)
from dispatch.analysis.page_file import write_whole
from dispatch.errors import InputError
from dispatch.eta.tested_trips import EtaTest
from dispatch.roads.city import City
from dispatch.roads.zones import Zones, grid_zones

MODEL: Final = "model"
"""The name of what is tested, among those that it is compared with."""
TOLERANCE_ALL: Final = 0.01
"""How far coverage of all trips may be off, as a share."""
TOLERANCE_BAND: Final = 0.025
"""How far it may be off in a band of the day."""
ZONE_M: Final = 1000.0
"""Side of the squares that zones are by default, metres."""
_BANDS_PER_DAY: Final = 24 // BAND_H


class CoverageCheck(NamedTuple):
    """Whether a quantile keeps what it promises."""

    where: str
    """``all trips``, or a band of the day"""
    level: float
    observed: float
    tolerance: float
    num: int

    @property
    def passes(self) -> bool:
        """Whether the observed share is near enough to the level."""
        # A share is a quotient: what lies on the limit may come out a last digit beyond it.
        return abs(self.observed - self.level) <= self.tolerance + 1e-12


@dataclass(frozen=True)
class EtaEvaluation:
    """All figures of a test; of no trips they are ``None``."""

    city: City
    zones: Zones
    test: EtaTest
    local: LocalTime
    errors: Mapping[str, ErrorFigures]
    """By predictor, :data:`MODEL` first"""
    mae_more_s: Mapping[str, Between]
    """By other predictor: how much larger its MAE is than the model's, with a 95 % interval by blocks"""
    quantiles: Mapping[str, QuantileFigures]
    """By predictor of quantiles, :data:`MODEL` first"""
    pinball_more_s: Mapping[str, Between]
    """By other predictor of quantiles: how much larger its mean pinball loss is than the model's"""
    coverage: tuple[Between | None, ...]
    """(levels,) of the model, with 95 % intervals by blocks"""
    shares_between: tuple[float, ...]
    """(levels + 1,) trips below, between and above the model's quantiles"""
    checks: tuple[CoverageCheck, ...]
    groups: Mapping[str, tuple[EtaGroup, ...]]
    """By each of :data:`~dispatch.analysis.eta_groups.GROUPINGS`"""
    routes: tuple[Route, ...]
    """From zone to zone, those with the largest sum of absolute errors first"""

    @property
    def num_blocks(self) -> int:
        """Blocks of a band of one day, which are drawn as a whole where intervals are made."""
        return len(np.unique(_blocks(self.local)))

    @cached_property
    def days(self) -> tuple[date, ...]:
        """Local days of the trips, ascending."""
        epoch = date(1970, 1, 1).toordinal()
        return tuple(date.fromordinal(epoch + day) for day in np.unique(self.local.day).tolist())

    def as_dict(self) -> dict[str, Any]:
        """Give all figures but those of single trips as plain values that JSON holds."""
        return {
            "city": self.city.name,
            "timezone": self.city.timezone,
            "days": [str(day) for day in self.days],
            "num": len(self.test),
            "levels": list(self.test.levels),
            "left_out": [asdict(drop) for drop in self.test.drops],
            "errors": {name: asdict(one) for name, one in self.errors.items()},
            "mae_more_s": {name: one._asdict() for name, one in self.mae_more_s.items()},
            "quantiles": {name: asdict(one) for name, one in self.quantiles.items()},
            "pinball_more_s": {name: one._asdict() for name, one in self.pinball_more_s.items()},
            "coverage": [None if one is None else one._asdict() for one in self.coverage],
            "shares_between": list(self.shares_between),
            "checks": [{**one._asdict(), "passes": one.passes} for one in self.checks],
            "groups": {by: [asdict(group) for group in found] for by, found in self.groups.items()},
            "routes": [route._asdict() for route in self.routes],
        }

    def rows(self) -> pa.Table:
        """Lay out the trips as columns: when, from where to where, actual and predicted seconds.

        Returns
        -------
        pyarrow.Table
            Quantiles of the model are ``p80_s`` and the like, those of others ``NAME_p80_s``; other
            predictors ``NAME_s``, with underscores for what is no letter or digit.
        """
        test = self.test
        columns: dict[str, Any] = {
            "requested_at": pa.array(test.requested_at_ms, pa.timestamp("ms", "UTC")),
            **{name: getattr(test, name) for name in ("from_lon", "from_lat", "to_lon", "to_lat")},
            "distance_m": test.distance_m,
            "actual_s": test.actual_s,
            "predicted_s": test.predicted_s,
            **{f"{level_name(level)}_s": test.quantile_s[:, n] for n, level in enumerate(test.levels)},
            **{f"{_plain(name)}_s": values for name, values in test.others.items()},
        }
        for name, values in test.others_quantile_s.items():
            for number, level in enumerate(test.levels):
                columns[f"{_plain(name)}_{level_name(level)}_s"] = values[:, number]
        tidy = {
            name: v if isinstance(v, pa.Array) else np.ascontiguousarray(v) for name, v in columns.items()
        }
        return pa.table(tidy)


def level_name(level: float) -> str:
    """Name a level: ``p80``, ``p97.5``."""
    return f"p{100 * level:g}"


def _plain(name: str) -> str:
    return "_".join("".join(sign if sign.isalnum() else " " for sign in name.lower()).split())


def evaluate_eta(test: EtaTest, city: City, zones: Zones | None = None) -> EtaEvaluation:
    """Measure predictions of trips overall and in groups, beside those of other predictors.

    Parameters
    ----------
    test : EtaTest
    city : City
        Where the trips were recorded: its time zone tells hours and days.
    zones : Zones, optional
        By which ends of trips are told; by default squares of 1 km.

    Returns
    -------
    EtaEvaluation
        Intervals come from a bootstrap that draws whole bands of one day: trips of the same hours share
        their traffic.

    Raises
    ------
    InputError
        There is no trip to measure, or another predictor has the model's own name.

    Complexity
    ----------
    ``O(n log n)``.
    """
    if not len(test):
        raise InputError("the test holds no trips: there is nothing to measure; choose other days")
    names = (MODEL, *test.others, *test.others_quantile_s)
    if MODEL in names[1:]:
        raise InputError(f"another predictor is named {MODEL!r}, as the tested one is: rename it")
    zones = grid_zones(city, ZONE_M) if zones is None else zones
    local = LocalTime.of(test.requested_at_ms, city.timezone)
    by = groupings(test, local, zones)
    predictors = point_predictors(test)
    draw = BlockBootstrap(_blocks(local))
    size_s = {name: np.abs(test.actual_s - values) for name, values in predictors.items()}
    quantile_s = {MODEL: test.quantile_s, **test.others_quantile_s}
    quantiles = {
        name: QuantileFigures.of(values, test.actual_s, test.levels) for name, values in quantile_s.items()
    }
    groups = {name: measure_groups(test, predictors, one) for name, one in by.items()}
    return EtaEvaluation(
        city=city,
        zones=zones,
        test=test,
        local=local,
        errors={name: ErrorFigures.of(values, test.actual_s) for name, values in predictors.items()},
        mae_more_s=_more(size_s, draw),
        quantiles=quantiles,
        pinball_more_s=_more({name: _loss_s(test, values) for name, values in quantile_s.items()}, draw),
        coverage=tuple(
            draw.mean(test.actual_s <= test.quantile_s[:, number]) for number in range(len(test.levels))
        ),
        shares_between=tuple(shares_between(test.quantile_s, test.actual_s).tolist()),
        checks=_checks(test, quantiles[MODEL], groups["band"]),
        groups=groups,
        routes=measure_routes(test, by["from_zone"], by["to_zone"]),
    )


def point_predictors(test: EtaTest) -> dict[str, NDArray[np.float64]]:
    """Give the seconds (n,) of every predictor, the model first; of those of quantiles alone the median."""
    found = {MODEL: test.predicted_s, **test.others}
    if 0.5 in test.levels:
        middle = test.levels.index(0.5)
        for name, values in test.others_quantile_s.items():
            found.setdefault(name, values[:, middle])
    return found


def _blocks(local: LocalTime) -> NDArray[np.int64]:
    return local.day * _BANDS_PER_DAY + local.hour // BAND_H


def _loss_s(test: EtaTest, quantile_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean pinball loss of each trip (n,) over all levels."""
    loss_s: NDArray[np.float64] = pinball_s(quantile_s, test.actual_s, test.levels).mean(axis=1)
    return loss_s


def _more(cost_s: Mapping[str, NDArray[np.float64]], draw: BlockBootstrap) -> dict[str, Between]:
    """How much more others cost than the model, trip by trip."""
    found = {name: draw.mean(values - cost_s[MODEL]) for name, values in cost_s.items() if name != MODEL}
    return {name: one for name, one in found.items() if one is not None}


def _checks(
    test: EtaTest, overall: QuantileFigures, bands: tuple[EtaGroup, ...]
) -> tuple[CoverageCheck, ...]:
    places = [("all trips", overall, TOLERANCE_ALL)]
    places += [(band.label, band.quantiles, TOLERANCE_BAND) for band in bands]
    return tuple(
        CoverageCheck(where, level, observed, tolerance, figures.num)
        for where, figures, tolerance in places
        for level, observed in zip(test.levels, figures.coverage, strict=True)
        if observed is not None
    )


def write_json(evaluation: EtaEvaluation, path: str | Path, **more: Any) -> None:
    """Write all figures to a JSON file, whole or not at all; `more` are further keys, like the training's."""
    text = json.dumps({**evaluation.as_dict(), **more}, indent=2, allow_nan=False, ensure_ascii=False)
    write_whole(Path(path), text + "\n")


def write_rows(evaluation: EtaEvaluation, path: str | Path) -> None:
    """Write a row for each trip to a ``.parquet`` or ``.csv`` file, whole or not at all.

    Raises
    ------
    InputError
        The ending is neither.
    """
    path = Path(path)
    writers = {".parquet": pq.write_table, ".csv": pyarrow.csv.write_csv}
    write = writers.get(path.suffix.lower())
    if write is None:
        raise InputError(f"{path}: cannot tell the format by its ending; use one of {', '.join(writers)}")
    unfinished = path.with_name(path.name + ".part")
    write(evaluation.rows(), unfinished)
    unfinished.replace(path)
