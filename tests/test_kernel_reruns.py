"""The tests of the kernels once more: as plain Python, which coverage can trace, and with checked bounds."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SUITE = ["tests/kernels", "tests/matching", "tests/spatial"]
PYTEST = ["-m", "pytest", *SUITE, "--no-cov", "--hypothesis-profile", "few", "-q", "-p", "no:cacheprovider"]
# Hashes and counters wrap around on purpose; compiled code does so without a word, numpy's scalars warn.
WRAPS_AROUND = [
    f"-Wignore:overflow encountered:RuntimeWarning:dispatch.kernels.{module}"
    for module in ("id_map", "random_streams")
]
MIN_COVERED_PERCENT = 95


def start(arguments, output, **environment):
    """Start Python on `arguments` in a process of its own, which finds its own kernel cache."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("NUMBA_", "COV_CORE_", "COVERAGE_", "PYTEST_"))
    }
    with output.open("w") as file:
        return subprocess.Popen(
            [sys.executable, *arguments],
            env=inherited | environment,
            cwd=ROOT,
            stdout=file,
            stderr=subprocess.STDOUT,
        )


def finish(process, output):
    assert process.wait(timeout=900) == 0, output.read_text()[-8000:]


def rerun(arguments, output, **environment):
    finish(start(arguments, output, **environment), output)


class Reruns:
    """Both runs of all kernel tests, beside each other: one mostly compiles, the other is plain Python."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="kernel-reruns-"))
        settings = self.folder / "settings"
        settings.write_text("[run]\nsource = dispatch.kernels\n")
        self.files = [f"--rcfile={settings}", f"--data-file={self.folder / 'coverage'}"]
        plain = [*PYTEST, "-m", "not long and not compiled", *WRAPS_AROUND]
        self.plain = start(
            ["-m", "coverage", "run", *self.files, *plain], self.output("plain"), NUMBA_DISABLE_JIT="1"
        )
        self.bounds = start([*PYTEST, "-m", "not long"], self.output("bounds"), NUMBA_BOUNDSCHECK="1")

    def output(self, name):
        return self.folder / f"{name}.txt"

    def end(self):
        for process in (self.plain, self.bounds):
            process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def reruns(request):
    """Those that conftest.py started before the first test."""
    return request.config.kernel_reruns


def test_every_line_of_the_kernels_is_tested_as_plain_python(reruns):
    finish(reruns.plain, reruns.output("plain"))
    report = reruns.folder / "coverage.json"
    rerun(["-m", "coverage", "json", *reruns.files, "-o", str(report)], reruns.output("json"))
    covered = {
        name: one["summary"]["percent_covered"]
        for name, one in json.loads(report.read_text())["files"].items()
    }
    assert len(covered) > 10, "coverage did not see the kernels"
    assert {name: share for name, share in covered.items() if share < MIN_COVERED_PERCENT} == {}


def test_no_kernel_reads_or_writes_out_of_bounds(reruns):
    finish(reruns.bounds, reruns.output("bounds"))


def test_bounds_are_checked_when_asked_for(tmp_path):
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
    rerun([str(tmp_path / "careless.py")], tmp_path / "careless.txt", NUMBA_BOUNDSCHECK="1")
