"""The tests of the kernels once more: as plain Python, which coverage can trace, and with checked bounds.

As plain Python, kernels index arrays of numpy, which tell of each index beyond the end: that run checks
bounds, too. With bounds that compiled code checks, the everyday suite runs what it leaves out: tests too long
for plain Python, and kernels whose numbers wrap around otherwise than numpy's. To compile every kernel a
second time takes 130 s; that run is a long one.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PYTEST = ["-m", "pytest", "-n0", "--no-cov", "--hypothesis-profile=few", "-q", "-p", "no:cacheprovider"]
SUITE = ["tests/kernels", "tests/matching", "tests/spatial"]
# Hashes and counters wrap around on purpose; compiled code does so without a word, numpy's scalars warn.
WRAPS_AROUND = ("id_map", "pair_effects", "random_streams")
MAY_WRAP = [f"-Wignore:overflow encountered:RuntimeWarning:dispatch.kernels.{name}" for name in WRAPS_AROUND]
# Tests marked `compiled` there say something of bounds and need few kernels.
COMPILED = [
    "tests/matching",
    "tests/spatial",
    "tests/kernels/test_all_pairs.py",
    "tests/kernels/test_assignment.py",
]
MIN_COVERED_PERCENT = 95


def rerun(arguments, output, **environment):
    """Run Python on `arguments` in a process of its own, which finds its own kernel cache."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("NUMBA_", "COV_CORE_", "COVERAGE_", "PYTEST_"))
    }
    with output.open("w") as file:
        done = subprocess.run(
            [sys.executable, *arguments],
            env=inherited | environment,
            cwd=ROOT,
            stdout=file,
            stderr=subprocess.STDOUT,
            timeout=900,
            check=False,
        )
    assert done.returncode == 0, output.read_text()[-8000:]


def test_every_line_of_the_kernels_is_tested_as_plain_python(tmp_path):
    settings, report = tmp_path / "settings", tmp_path / "coverage.json"
    settings.write_text("[run]\nsource = dispatch.kernels\n")
    files = [f"--rcfile={settings}", f"--data-file={tmp_path / 'coverage'}"]
    plain = [*PYTEST, *SUITE, "-m", "not long and not compiled", *MAY_WRAP]
    rerun(["-m", "coverage", "run", *files, *plain], tmp_path / "plain.txt", NUMBA_DISABLE_JIT="1")
    rerun(["-m", "coverage", "json", *files, "-o", str(report)], tmp_path / "json.txt")
    covered = {
        name: one["summary"]["percent_covered"]
        for name, one in json.loads(report.read_text())["files"].items()
    }
    assert len(covered) > 10, "coverage did not see the kernels"
    assert {name: share for name, share in covered.items() if share < MIN_COVERED_PERCENT} == {}


def test_what_plain_python_leaves_out_stays_within_bounds(tmp_path):
    wrapping = [f"tests/kernels/test_{name}.py" for name in WRAPS_AROUND]
    for name, chosen, tests in (
        ("compiled", "compiled and not long", COMPILED),
        ("wrap", "not long", wrapping),
    ):
        rerun([*PYTEST, *tests, "-m", chosen], tmp_path / f"{name}.txt", NUMBA_BOUNDSCHECK="1")


@pytest.mark.long
def test_no_kernel_reads_or_writes_out_of_bounds(tmp_path):
    rerun([*PYTEST, *SUITE, "-m", "not long"], tmp_path / "bounds.txt", NUMBA_BOUNDSCHECK="1")


@pytest.mark.parametrize("how", ["NUMBA_BOUNDSCHECK", "NUMBA_DISABLE_JIT"])
def test_bounds_are_checked(tmp_path, how):
    (tmp_path / "careless.py").write_text(
        "import numpy as np\n"
        "from dispatch.kernels.jit import F64, i64, kernel\n\n\n"
        "@kernel((F64, i64))\n"
        "def value_at(values, row):\n"
        "    return values[row]\n\n\n"
        "try:\n"
        "    value_at(np.zeros(3), 3)\n"
        "except IndexError:\n"
        "    raise SystemExit(0)\n"
        "raise SystemExit('read beyond the end')\n"
    )
    rerun([str(tmp_path / "careless.py")], tmp_path / "careless.txt", **{how: "1"})
