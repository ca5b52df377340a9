"""What the engine of a simulated day predicts with, where that is not what its traffic predicts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from dispatch.errors import InputError
from dispatch.roads.all_pairs import AllPairsTimes
from dispatch.roads.metric import Metric
from dispatch.roads.pace import PacedTimes
from dispatch.roads.spread_times import SpreadTimes
from dispatch.sim.behaviour import ETA_RULE, ETAS_OF_TRAFFIC, FREE_FLOW_ETAS

if TYPE_CHECKING:
    from dispatch.eta.times import EtaTimes
    from dispatch.roads.city import City

_DIGEST_BYTES: Final = 16


@dataclass(frozen=True)
class EtaSource:
    """Where the ETAs of a run come from, for its record."""

    source: str
    """``free_flow``, or the file of a model"""
    blake2b: str = ""
    """of the file, 32 hexadecimal digits"""


def names_file(eta: str) -> bool:
    """Whether what a scenario says of ETAs is the path of a model."""
    return eta not in (ETAS_OF_TRAFFIC, FREE_FLOW_ETAS)


def file_blake2b(path: Path) -> str:
    """Hash a file.

    Raises
    ------
    InputError
        It cannot be read.
    """
    try:
        return hashlib.blake2b(path.read_bytes(), digest_size=_DIGEST_BYTES).hexdigest()
    except OSError as error:
        raise InputError(f"traffic.eta is {path}: {_why(error, path)}; {ETA_RULE}") from error


def _why(error: OSError, path: Path) -> str:
    if isinstance(error, FileNotFoundError):
        return f"there is no file {path}"
    return f"it cannot be read ({error.strerror})"


def free_flow_etas(free_flow: Metric) -> SpreadTimes:
    """Give what is predicted where nothing is known but speed limits: free flow, with a spread assumed."""
    from dispatch.eta.calibration import LEVELS
    from dispatch.eta.model import ASSUMED_RATIOS

    is_small = AllPairsTimes.suits(free_flow.network.graph)
    return SpreadTimes(
        PacedTimes(free_flow.all_pairs if is_small else free_flow), LEVELS, np.array(ASSUMED_RATIOS)
    )


def learnt_etas(path: Path, city: City) -> EtaTimes:
    """Give what a model predicts.

    Raises
    ------
    InputError
        The file is missing, no model, damaged, or made for another road network.
    """
    from dispatch.eta.model import EtaModel
    from dispatch.eta.times import EtaTimes

    try:
        return EtaTimes(EtaModel.load(path, city))
    except InputError as error:
        raise InputError(f"traffic.eta is {error}") from error
