"""Writes dispatch/crm/COVERAGE.md from the table beside it: ``python tests/crm/coverage_page.py``."""

import csv
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "dispatch" / "crm" / "coverage.tsv"
PAGE = ROOT / "dispatch" / "crm" / "COVERAGE.md"
COLUMNS = ("id", "system", "term", "function", "part", "answer", "where", "call", "test", "note")
ANSWERS = {
    "built": "there, with a module, a call or command, and a test",
    "port": "an event out and an interface to implement, with one honest local implementation and its test",
    "outside": "not this project's, and why",
    "later": "model-based analytics, or routes of food deliveries with several stops",
}
SYSTEMS = {
    "S1": "Ride-hailing",
    "S2": "Food delivery",
    "S3": "Loyalty: what customers expect",
    "S4": "Petrol and charging stations",
    "S5": "Customers in tiers",
}
NUM_ROWS = 216


def rows():
    """All rows of the table, as dicts."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def page(table):
    """The page's text."""
    lines = [
        "# What the CRM covers",
        "",
        "Generated from `coverage.tsv` by `python tests/crm/coverage_page.py`; edit that table.",
        "Every function that the three businesses and their loyalty programmes asked for has a row; a test",
        "holds that each test named here exists and is run.",
        "",
        "| answer | rows | means |",
        "|---|---|---|",
    ]
    count = Counter(row["answer"] for row in table)
    lines += [f"| {answer} | {count[answer]} | {meaning} |" for answer, meaning in ANSWERS.items()]
    for system, title in SYSTEMS.items():
        lines += ["", f"## {title}", "", "| row | function | answer | where | call | test | note |"]
        lines.append("|---|---|---|---|---|---|---|")
        lines += [_line(row) for row in table if row["id"].startswith(f"{system}-")]
    return "\n".join(lines) + "\n"


def _line(row):
    where, call, test = (_code(row[name]) for name in ("where", "call", "test"))
    function = f"{row['function']} ({row['term']})"
    cells = (row["id"], function, row["answer"], where, call, test, row["note"])
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _code(cell):
    """Each of the names in a cell, which commas part, as code."""
    return ", ".join(f"`{one.strip()}`" for one in cell.split(";") if one.strip())


if __name__ == "__main__":
    PAGE.write_text(page(rows()), encoding="utf-8")
