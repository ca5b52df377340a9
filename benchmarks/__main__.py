"""Run a suite: ``python -m benchmarks engine [--quick] [--json FILE]``."""

import argparse
import json
import sys
from importlib import import_module
from pathlib import Path

SUITES = {"engine": "step latency of the embedded engine, by stage"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "suite", choices=sorted(SUITES), help="; ".join(f"{k}: {v}" for k, v in SUITES.items())
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the repetitions")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to FILE")
    options = parser.parse_args()
    rows = import_module(f"benchmarks.{options.suite}").measure(quick=options.quick)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
