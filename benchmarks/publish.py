"""Where the figures of a run go: the table in README.md, the history; and where they come from."""

import datetime
import json
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.harness import Report, number, remark
from benchmarks.process import ROOT

README = ROOT / "benchmarks" / "README.md"
HISTORY = ROOT / "benchmarks" / "history.jsonl"
ALWAYS = ("numpy", "numba", "scipy")


def origin(packages: tuple[str, ...]) -> dict[str, Any]:
    """Date, commit, machine and versions."""
    names = dict.fromkeys((*ALWAYS, *packages))
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit(),
        "machine": machine(),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in names},
    }


def version(package: str) -> str:
    """Version of a distribution, or that it is absent."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"


def commit() -> str:
    """Short hash of the present commit, and whether the tree differs from it."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    changed = git("status", "--porcelain", "--", "dispatch", "benchmarks/*.py")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + (" with changes" if changed else "")


def machine() -> str:
    """Processor and number of cores."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "name" in line
        ]
        model = names[0] if names else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores, {platform.system()}"


def markdown(report: Report, source: dict[str, Any]) -> str:
    """The section of one suite: where the figures come from, the rows, the further tables."""
    versions = ", ".join(f"{name} {value}" for name, value in source["versions"].items())
    lines = [
        f"{source['date']}, commit {source['commit']}, {source['machine']}, one thread. {versions}.",
        "",
        "| case | ours, ms | best peer | its ms | ratio | floor | | with form | the others, ms |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in report.rows:
        others = ", ".join(
            f"{name} {number(ms)}" for name, ms in row.get("peers_ms", {}).items() if name != row["best_peer"]
        )
        ratio = f"**{number(row['ratio'])}**" if row.get("ratio") else ""
        cells = (
            *(
                row["case"],
                number(row["ours_ms"]),
                row.get("best_peer") or "",
                number(row.get("best_peer_ms")),
            ),
            *(ratio, number(row.get("floor")), remark(row), number(row.get("ratio_with_form")), others),
        )
        lines.append("| " + " | ".join(cells) + " |")
    for note in report.notes:
        lines += ["", note]
    if report.absent:
        lines += ["", f"Absent when this was measured: {', '.join(report.absent)}."]
    for table in report.tables:
        lines += ["", f"**{table.title}**", "", "| " + " | ".join(table.header) + " |"]
        lines.append("|" + "---|" * len(table.header))
        lines += ["| " + " | ".join(line) + " |" for line in table.lines]
        if table.note:
            lines += ["", table.note]
    return "\n".join(lines) + "\n"


def update_readme(suite: str, section: str, path: Path = README) -> None:
    """Replace what stands between the suite's markers; a suite without markers gets a section at the end."""
    begin = f"<!-- {suite}: begin, written by python -m benchmarks {suite} --update-readme -->"
    end = f"<!-- {suite}: end -->"
    text = path.read_text(encoding="utf-8")
    if begin not in text:
        text = f"{text.rstrip()}\n\n## {suite}\n\n{begin}\n{end}\n"
    before, _, rest = text.partition(begin)
    after = rest.partition(end)[2]
    path.write_text(f"{before}{begin}\n{section}{end}{after}", encoding="utf-8")


def append_history(suite: str, report: Report, source: dict[str, Any], path: Path = HISTORY) -> None:
    """One line of JSON for a full run."""
    tables = [table._asdict() for table in report.tables]
    line = {"suite": suite, **source, "rows": report.rows, "tables": tables, "notes": report.notes}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")
