"""Processes that compile a function for different types at once leave a cache that names the right files."""

import os
import subprocess
import sys

import pytest

from dispatch.kernels.shared_cache import CAN_SHARE, LOCK_NAME, _turn

MODULE = """
from dispatch.kernels.jit import kernel

@kernel()
def first(values):
    return values[0]
"""
PROGRAM = """
import pathlib, sys, time
import numpy as np
from crowded import first
started, num, *kinds = sys.argv[1:]
(pathlib.Path(started) / kinds[0]).touch()
while len(list(pathlib.Path(started).iterdir())) < int(num):
    time.sleep(0.001)
for kind in kinds:
    print(kind, first(np.array([3], kind)), sum(first.stats.cache_hits.values()))
"""
TYPES = ("int8", "int32", "int64", "float32", "float64")


@pytest.mark.compiled
@pytest.mark.skipif(not CAN_SHARE, reason="without locks on files each process keeps its own cache")
def test_processes_at_once_leave_a_cache_that_names_the_right_files(tmp_path):
    (tmp_path / "crowded.py").write_text(MODULE)
    environment = os.environ | {
        "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)]),
    }

    def start(folder, num, *kinds):
        folder.mkdir(exist_ok=True)
        command = [sys.executable, "-c", PROGRAM, str(folder), str(num), *kinds]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    for process in [start(tmp_path / "at_once", len(TYPES), kind) for kind in TYPES]:
        process.communicate()
        assert process.returncode == 0
    assert len(list((tmp_path / "cache").rglob("*.nbc"))) == len(TYPES)
    # One that compiles nothing loads them all.
    told = [line.split() for line in start(tmp_path / "after", 1, *TYPES).communicate()[0].splitlines()]
    assert [(kind, float(value), int(hits)) for kind, value, hits in told] == [
        (kind, 3.0, row + 1) for row, kind in enumerate(TYPES)
    ]


def test_a_lock_that_cannot_be_had_does_not_stop_the_compiler(tmp_path):
    (tmp_path / "a file").touch()
    with _turn(str(tmp_path / "a file" / "below")):
        pass
    folder = tmp_path / "shared"
    with _turn(str(folder)):
        assert [path.name for path in folder.iterdir()] == [LOCK_NAME]
    (folder / LOCK_NAME).chmod(0o444)
    with _turn(str(folder)):  # by who may only read it
        pass
