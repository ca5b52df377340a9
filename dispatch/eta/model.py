"""A model of ETAs: what it holds, and its file, which is arrays and a report, nothing that is run."""

from __future__ import annotations

import hashlib
import json
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.eta.boosting import Forest
from dispatch.eta.calibration import LEVELS, Calibration
from dispatch.eta.driver_history import DriverEffects
from dispatch.eta.edge_times import MOST_START_S, NUM_SLOTS, EdgeTimes
from dispatch.eta.features import COLUMNS
from dispatch.eta.ground import Ground
from dispatch.eta.live import LiveParams
from dispatch.eta.pair_effects import PairEffects
from dispatch.kernels.eta_predict import NUM_FORESTS, Ground as KernelGround
from dispatch.roads.city import City
from dispatch.roads.graph import RoadGraph
from dispatch.units import INDEX_DTYPE

FORMAT: Final = "dispatch-eta 1"
FREE_FLOW, PROBES, LEARNT = "free flow", "probes", "learnt"
KINDS: Final = (FREE_FLOW, PROBES, LEARNT)
"""Nothing is known; streets' times by pings alone; all of it, from trips"""
_MOST_LIVE: Final = 10.0
ASSUMED_RATIOS: Final = (0.75, 1.0, 1.25, 1.4)
"""Quantiles over the median where no trips tell them: an assumption."""
_UNREADABLE: Final = (
    *(ValueError, OSError, EOFError, KeyError, TypeError, AttributeError, SyntaxError, MemoryError),
    *(NotImplementedError, RuntimeError, tokenize.TokenError, struct.error, zlib.error, zipfile.BadZipFile),
)
"""What reading a damaged file raises"""
_EDGE_TIMES: Final = {
    "edge_s": np.float64,
    "cell": np.int32,
    "slot_factor": np.float64,
    "evidence": np.float64,
}


@dataclass(frozen=True)
class EtaModel:
    """How long drives take in a city, and how sure that is.

    Made by :func:`dispatch.eta.training.train_eta`; used through :class:`dispatch.eta.times.EtaTimes`.
    """

    ground: Ground
    forests: tuple[Forest, ...]
    """``NUM_FORESTS`` ratios to seconds of streets: two medians, by trips and by pings, whose mean counts;
    then the quantiles of 10, 80 and 90 %"""
    calibration: Calibration
    effects: PairEffects
    drivers: DriverEffects
    live: LiveParams
    kind: str = LEARNT
    report: dict[str, Any] = field(default_factory=dict)
    """Of the training: what was used and left out, what each part brings"""

    def __post_init__(self) -> None:
        """Refuse parts that do not fit."""
        if self.kind not in KINDS:
            raise InputError(f"kind is {self.kind!r}: it must be one of {', '.join(KINDS)}")
        if len(self.forests) != NUM_FORESTS or any(forest.names != COLUMNS for forest in self.forests):
            raise InputError(f"forests: there must be {NUM_FORESTS}, of the features of this version")

    @property
    def city(self) -> City:
        """The city that it was made for."""
        return self.ground.city

    @property
    def levels(self) -> tuple[float, ...]:
        """Levels of quantiles."""
        return LEVELS

    @classmethod
    def free_flow(cls, city: City) -> EtaModel:
        """Give the model where nothing is known but speed limits; its quantiles are assumed."""
        free = EdgeTimes.free_flow(city.graph)
        note = "no data: free-flow times, and a spread that is assumed, not measured"
        return cls.of_streets(Ground(city, free, free, 0.0), FREE_FLOW, {"note": note})

    @classmethod
    def of_streets(cls, ground: Ground, kind: str, report: dict[str, Any]) -> EtaModel:
        """Give a model whose forests say nothing: streets' times, with a spread that is assumed."""
        low, middle, high, highest = ASSUMED_RATIOS
        forests = tuple(constant_forest(ratio) for ratio in (middle, middle, low, high, highest))
        none = np.empty(0)
        effects = PairEffects(np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.float32))
        drivers = DriverEffects(np.empty(0, np.int64), none.reshape(2, 0), none.reshape(2, 0))
        return cls(ground, forests, Calibration.none(), effects, drivers, LiveParams(), kind, report)

    @cached_property
    def kernel_ground(self) -> KernelGround:
        """What predictions stand on, as kernels take it."""
        return self.ground.ground_of(self.effects)

    # --- file ------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write the model into a file (.npz): arrays, and the report as JSON."""
        path = Path(path)
        head = {
            "format": FORMAT,
            "kind": self.kind,
            "city": self.city.name,
            "fingerprint": fingerprint(self.city.graph),
            "start_s": self.ground.start_s,
            "live_range": list(self.ground.live_range),
            "live": asdict(self.live),
            "report": self.report,
        }
        arrays = {"head": np.frombuffer(json.dumps(head).encode(), np.uint8)}
        parts: dict[str, Mapping[str, NDArray[Any]]] = {
            "probes": _arrays_of(self.ground.probes),
            "trips": _arrays_of(self.ground.trips),
            "effects": self.effects.arrays(),
            "drivers": self.drivers.arrays(),
            "calibration": {
                "length_edge_s": self.calibration.length_edge_s,
                "shift": self.calibration.shift,
            },
        }
        parts |= {f"forest{row}": forest.arrays() for row, forest in enumerate(self.forests)}
        for part, told in parts.items():
            arrays |= {f"{part}.{name}": values for name, values in told.items()}
        beside = path.with_name(path.name + ".part")
        with beside.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # numpy's stub takes a bool by that name
        beside.replace(path)

    @classmethod
    def load(cls, path: str | Path, city: City) -> EtaModel:
        """Read a model that was saved.

        Raises
        ------
        InputError
            The file is missing, no model, of another version, damaged, or made for another road network.
        """
        path = Path(path)
        arrays = _read(path)
        head = _head(path, arrays, city)
        try:
            parts = {
                name: _part(arrays, name) for name in ("probes", "trips", "effects", "drivers", "calibration")
            }
            ground = Ground(
                city,
                _edge_times(parts["probes"], city.graph),
                _edge_times(parts["trips"], city.graph),
                _start_s(head["start_s"]),
                _live_range(head["live_range"]),
            )
            length_edge_s, shift = (
                np.ascontiguousarray(parts["calibration"][name]) for name in ("length_edge_s", "shift")
            )
            return cls(
                ground,
                tuple(Forest.from_arrays(_part(arrays, f"forest{row}")) for row in range(NUM_FORESTS)),
                Calibration(length_edge_s, shift),
                PairEffects.from_arrays(parts["effects"]),
                DriverEffects.from_arrays(parts["drivers"]),
                LiveParams(**head["live"]),
                head["kind"],
                dict(head["report"]),
            )
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InputError(f"{path}: a damaged model ({error}); train it again") from error
        except InputError as error:
            raise InputError(f"{path}: a damaged model ({error}); train it again") from error


def constant_forest(value: float) -> Forest:
    """Give the forest that says one value of everything."""
    return Forest(
        COLUMNS,
        np.zeros(2, INDEX_DTYPE),
        np.empty(0, INDEX_DTYPE),
        np.empty(0, np.float32),
        np.empty(0, INDEX_DTYPE),
        np.empty(0, INDEX_DTYPE),
        np.array([value]),
    )


def fingerprint(graph: RoadGraph) -> str:
    """Give a name of a road network: another one for any other network, or order of its arcs."""
    digest = hashlib.blake2b(digest_size=16)
    for values in (
        graph.node_lon,
        graph.node_lat,
        graph.first_arc,
        graph.head,
        graph.length_m,
        graph.speed_kph,
    ):
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _arrays_of(times: EdgeTimes) -> dict[str, NDArray[Any]]:
    return {name: getattr(times, name) for name in _EDGE_TIMES}


def _edge_times(arrays: Mapping[str, NDArray[Any]], graph: RoadGraph) -> EdgeTimes:
    """Make edge times of the arrays of a file, and refuse what kernels could not read."""
    wrong = [name for name, kind in _EDGE_TIMES.items() if arrays[name].dtype != kind]
    if wrong:
        raise InputError(f"edge times: {', '.join(wrong)} hold numbers of another kind")
    told = {name: np.ascontiguousarray(arrays[name]) for name in _EDGE_TIMES}
    num_arcs, factor, cell = graph.num_arcs, told["slot_factor"], told["cell"]
    if any(told[name].shape != (num_arcs,) for name in ("edge_s", "cell", "evidence")):
        raise InputError(f"edge times must have {num_arcs} rows")
    if factor.ndim != 2 or len(factor) != NUM_SLOTS or (cell < 0).any() or (cell >= factor.shape[1]).any():
        raise InputError("edge times name a cell that has no factors")
    for values in (told["edge_s"], factor):
        if not (np.isfinite(values) & (values > 0)).all():
            raise InputError("edge times must be positive numbers")
    if not (np.isfinite(told["evidence"]) & (told["evidence"] >= 0)).all():
        raise InputError("evidence of edge times must be numbers from 0 on")
    return EdgeTimes(**told)


def _live_range(told: list[float]) -> tuple[float, float]:
    low, high = (float(limit) for limit in told)
    if not -_MOST_LIVE <= low <= 0.0 <= high <= _MOST_LIVE:
        raise InputError(f"live_range is {told!r}: it must hold two numbers, at most 0 and at least 0")
    return low, high


def _start_s(told: float) -> float:
    if not 0.0 <= told <= MOST_START_S:
        raise InputError(f"start_s is {told!r}: it must be a number from 0 to {MOST_START_S:g}")
    return float(told)


def _read(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        # Opened here: numpy leaves a file open that it cannot read.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except _UNREADABLE as error:
        raise InputError(f"{path}: no readable model of ETAs, perhaps truncated ({error})") from error


def _head(path: Path, arrays: Mapping[str, NDArray[Any]], city: City) -> dict[str, Any]:
    """Read what a file says of itself, and refuse another version or another city."""
    try:
        head = json.loads(arrays["head"].astype(np.uint8).tobytes())
        told, name, print_of = head["format"], head["city"], head["fingerprint"]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: no model of ETAs; dispatch eta train makes one") from error
    if told != FORMAT:
        raise InputError(f"{path}: its format is {told!r}, this version reads {FORMAT!r}; train it again")
    if print_of != fingerprint(city.graph):
        raise InputError(
            f"{path}: it was trained for {name!r} and its roads, not for these of {city.name!r}; "
            "give the city it was trained on, or train a model for this one"
        )
    found: dict[str, Any] = head
    return found


def _part(arrays: Mapping[str, NDArray[Any]], part: str) -> dict[str, NDArray[Any]]:
    prefix = f"{part}."
    return {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}
