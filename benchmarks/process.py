"""A process that measures: what it sets before numpy and numba are imported (read once), its memory."""

import hashlib
import os
import resource
import sys
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


def peak_mb() -> float:
    """Most memory that this process ever had in use, MB.

    Linux counts what a parent had at the fork into ``ru_maxrss``, so it is asked otherwise there.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) / 1024
    bytes_in_unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * bytes_in_unit / 1024**2
