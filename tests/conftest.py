"""Shared set-up: a kernel cache of the tests' own, the real data where it is, and rules for a whole run."""

import gc
import hashlib
import os
import re
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["postgres_fixtures"]

ROOT = Path(__file__).resolve().parent.parent
FEW_EXAMPLES = 5
LONGEST = "test_kernel_reruns.py"
# Tracing makes tests a half to twice as slow, and tells nothing of these: kernels are measured apart, a
# second database runs the same lines, and those of long random histories are run by tests of single modules.
UNMEASURED = re.compile(
    r"tests/(kernels|properties|test_benchmarks|crm/test_permissions)|tests/analysis/test_\w+_browser"
    r"|tests/sim/test_(random_scenarios|real_days|sweep)|tests/crm/coupling/test_any_cut|\[postgresql"
)

# The compiler makes millions of objects that live on. Looking for garbage among them every 700 took 12 % of
# a compile, and 6 % of the other tests.
gc.set_threshold(50_000, 10, 10)


def _kernel_sources_hash() -> str:
    """Hash all kernel sources: numba's own cache does not notice an edit in a callee of another file."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "dispatch" / "kernels").glob("*.py")):
        digest.update(path.read_bytes())
    digest.update(os.environ.get("NUMBA_BOUNDSCHECK", "0").encode())
    return digest.hexdigest()[:16]


# Before numba is imported: it reads the variable once.
os.environ.setdefault(
    "NUMBA_CACHE_DIR", str(Path(tempfile.gettempdir()) / "dispatch-kernel-cache" / _kernel_sources_hash())
)

# The same examples each time: a run's verdict changes only with the code. `--hypothesis-profile search`
# looks for new ones.
settings.register_profile("everyday", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.register_profile("few", derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile("everyday")


def pytest_configure(config: pytest.Config) -> None:
    """Judge coverage after the whole suite only: a part of the tests covers a part of the code."""
    chosen = config.option.keyword or config.getoption("lf", False) or config.option.markexpr != "not long"
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not chosen
    coverage = config.pluginmanager.getplugin("_cov")
    if coverage is not None and not whole:
        coverage.options.no_cov = True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put what takes long first, so that all processes end together; under ``few``, cap the examples."""
    items.sort(key=lambda item: (item.path.name != LONGEST, item.path.parent != ROOT / "tests"))
    # The mark breaks tests where nothing is measured.
    is_measured = getattr(config.pluginmanager.getplugin("_cov"), "cov_controller", None) is not None
    for item in items:
        if is_measured and UNMEASURED.search(item.nodeid):
            item.add_marker(pytest.mark.no_cover)
    if config.getoption("--hypothesis-profile") != "few":
        return
    for test in {item.obj for item in items if hasattr(item.obj, "hypothesis")}:
        asked = test._hypothesis_internal_use_settings
        test._hypothesis_internal_use_settings = settings(
            asked, max_examples=min(asked.max_examples, FEW_EXAMPLES), suppress_health_check=list(HealthCheck)
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """In continuous integration, only missing data is a reason to skip: all else is installed there."""
    report = yield
    if report.skipped and os.environ.get("CI") and "DISPATCH_DATA" not in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which CI does not allow: {report.longrepr}"
    return report


@pytest.fixture(scope="session", autouse=True)
def _every_assignment_is_certified():
    """Each exact assignment that a dispatcher solves in a test is proved optimal, apart from the solver."""
    from dispatch.engine.plan import SOLVERS
    from dispatch.matching.certificate import certificate

    solve = SOLVERS["batch"]

    def solve_and_prove(problem, *penalty):
        assignment = solve(problem, *penalty)
        proof = certificate(problem, assignment, *penalty)
        assert proof.optimal, proof
        return assignment

    SOLVERS["batch"] = solve_and_prove
    yield
    SOLVERS["batch"] = solve


@pytest.fixture(scope="session", autouse=True)
def _only_registered_kernels():
    """After the last test: no kernel was compiled for anything but its registered signatures."""
    yield
    if "dispatch.kernels.jit" not in sys.modules:
        return
    from dispatch.kernels.jit import KERNELS
    from kernel_signatures import unregistered

    assert unregistered(KERNELS) == [], "kernels met strided, read-only or wrongly typed input"


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of the real data sets, from the environment variable DISPATCH_DATA."""
    folder = os.environ.get("DISPATCH_DATA")
    if not folder:
        pytest.skip("DISPATCH_DATA is not set: tests on real data need it")
    return Path(folder)
