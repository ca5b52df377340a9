"""Shared set-up: a kernel cache of the tests' own, and the real data where it is."""

import hashlib
import os
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


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


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of the real data sets, from the environment variable DISPATCH_DATA."""
    folder = os.environ.get("DISPATCH_DATA")
    if not folder:
        pytest.skip("DISPATCH_DATA is not set: tests on real data need it")
    return Path(folder)
