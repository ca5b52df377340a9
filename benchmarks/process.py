"""What a process that measures must set before numpy and numba are imported: they read it once."""

import hashlib
import os
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
)


def set_up_process() -> None:
    """One thread for everybody; a kernel cache named by a hash of the kernels.

    numba's own cache does not notice an edit in a callee of another file: it would measure yesterday's.
    """
    for name in THREAD_VARIABLES:
        os.environ[name] = "1"
    digest = hashlib.sha256()
    for path in sorted((ROOT / "dispatch" / "kernels").glob("*.py")):
        digest.update(path.read_bytes())
    folder = Path(tempfile.gettempdir()) / "dispatch-benchmark-cache" / digest.hexdigest()[:16]
    os.environ.setdefault("NUMBA_CACHE_DIR", str(folder))
