"""Compare the kernels with named peers: in one process, in turn, one thread each.

Prints a row per case as soon as it is measured: our time, the best peer's, their ratio, and the floor that
the ratio must reach; `miss` below its floor. Exit status 1 if a ratio is below 0.8 of its floor or
an answer is wrong.
"""

import argparse
import json
import sys
from importlib import import_module
from pathlib import Path

from benchmarks.process import set_up_process

SUITES = ("assignment", "crm", "engine", "eta", "roads", "simulate", "spatial")
EXAMPLES = """examples:
  python -m benchmarks assignment --quick            some minutes
  python -m benchmarks spatial --json spatial.json   the rows as JSON too
  python -m benchmarks assignment --update-readme    a full run into benchmarks/README.md and history.jsonl

peers that are not installed are named as absent: pip install -e ".[bench]" installs them all
"""
INTERRUPTED = 130


def arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("suite", choices=SUITES, help="what to measure")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and instances")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to FILE")
    parser.add_argument(
        "--update-readme", action="store_true", help="write the table into README.md, a line into the history"
    )
    options = parser.parse_args(words)
    if options.update_readme and options.quick:
        parser.error("--update-readme takes a full run: leave --quick out")
    return options


def main(words: list[str] | None = None) -> int:
    options = arguments(words)
    set_up_process()
    from benchmarks import publish
    from benchmarks.harness import Report
    from dispatch import warm_up

    suite = import_module(f"benchmarks.{options.suite}")
    source = publish.origin(suite.PACKAGES)
    report = Report(quick=options.quick)
    print(f"{options.suite}: {suite.SUMMARY}")
    print(f"commit {source['commit']}, {source['machine']}, one thread each")
    print(", ".join(f"{name} {value}" for name, value in source["versions"].items()))
    print(f"kernels compiled or loaded in {warm_up():.1f} s, not counted\n", flush=True)
    interrupted = False
    try:
        suite.measure(report)
    except KeyboardInterrupt:
        interrupted = True
        print("\ninterrupted: these are the rows so far", file=sys.stderr)
    if options.json:
        options.json.write_text(json.dumps(report.rows, indent=2) + "\n", encoding="utf-8")
    if interrupted:
        return INTERRUPTED
    if options.update_readme:
        publish.update_readme(options.suite, publish.markdown(report, source))
        publish.append_history(options.suite, report, source)
    return conclude(report)


def conclude(report) -> int:
    """Say in the end what matters, and give the exit status."""
    misses = [row["case"] for row in report.rows if row.get("miss")]
    losses = [f"{row['case']} to {row['best_peer']}" for row in report.rows if row.get("peer_wins")]
    if report.absent:
        print(f'\nabsent peers: {", ".join(report.absent)}; pip install -e ".[bench]" installs them')
    print(f"\n{len(report.rows)} rows; below their floor: {', '.join(misses) or 'none'}")
    if losses:
        print(f"lost: {', '.join(losses)}")
    return report.exit_status


if __name__ == "__main__":
    sys.exit(main())
