"""Writes dispatch/crm/COVERAGE.md from the table beside it: ``python tests/crm/coverage_page.py``."""

import csv
import posixpath
import re
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
        "Every function that the three businesses and their loyalty programmes asked for has a row. A test",
        "holds that each module, call, command and test named here is there, and each test run every day.",
        "Generated from `coverage.tsv`, which has the full names, by `python tests/crm/coverage_page.py`.",
        "",
    ]
    lines += [f"- **{answer}**: {meaning}" for answer, meaning in ANSWERS.items()]
    lines += ["", f"| rows | {' | '.join(ANSWERS)} |", f"|---|{'---:|' * len(ANSWERS)}"]
    for system, title in SYSTEMS.items():
        lines.append(_counts(f"[{title}](#{_anchor(title)})", _rows_of(table, system)))
    lines.append(_counts("**all**", table))
    for system, title in SYSTEMS.items():
        lines += ["", f"## {title}", "", "| row | function | answer | note | by | test |"]
        lines.append("|---|---|---|---|---|---|")
        lines += [_line(row) for row in _rows_of(table, system)]
    return "\n".join(lines) + "\n"


def _rows_of(table, system):
    return [row for row in table if row["id"].startswith(f"{system}-")]


def _counts(name, some):
    count = Counter(row["answer"] for row in some)
    return f"| {name} | {' | '.join(str(count[answer]) for answer in ANSWERS)} |"


def _anchor(title):
    """The name that GitHub gives a heading."""
    return "".join(letter for letter in title.lower() if letter.isalnum() or letter in " -").replace(" ", "-")


def _line(row):
    cells = (
        row["id"],
        f"{row['function']} ({row['term']})",
        row["answer"],
        row["note"],
        ", ".join(_by(row)),
        "; ".join(_test(one) for one in parts(row["test"])),
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def parts(cell):
    """What semicolons part in a cell."""
    return [one.strip() for one in cell.split(";") if one.strip()]


def _by(row):
    """Commands as they are; calls, which lead to their modules; modules that no call leads to."""
    calls, modules = parts(row["call"]), parts(row["where"])
    for call in calls:
        module, _, name = call.rpartition(":")
        file = f"{module.replace('.', '/')}.py"
        yield _link(f"`{name}`", file) if module else f"`{name}`"
        modules = [one for one in modules if f"dispatch/{one}" != file]
    yield from (_link(one.removeprefix("crm/").removeprefix("../"), f"dispatch/{one}") for one in modules)


def _test(one):
    """A test by its name in words; they are sentences."""
    file, _, name = one.partition("::")
    owned = re.sub(r"(?<=[a-z])_s(?=_|$)", "'s", name.removeprefix("test_"))
    return _link(owned.replace("_", " "), file)


def _link(text, file):
    """A link to a file of the repository, from where the page is."""
    return f"[{text}]({posixpath.relpath(posixpath.normpath(file), 'dispatch/crm')})"


if __name__ == "__main__":
    PAGE.write_text(page(rows()), encoding="utf-8")
