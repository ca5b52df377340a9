"""The page of what is covered: no row without an answer, and no claim without its test."""

import ast
import importlib
import re
from pathlib import Path

import pytest

from crm.coverage_page import ANSWERS, COLUMNS, NUM_ROWS, PAGE, ROOT, page, rows

LATER_PARTS = {"analytics", "engine"}
"""Only models, and routes with several stops, come later."""


@pytest.fixture(scope="module")
def table():
    return rows()


def test_every_row_has_one_answer(table):
    assert len(table) == NUM_ROWS
    assert len({row["id"] for row in table}) == NUM_ROWS
    for row in table:
        assert tuple(row) == COLUMNS
        assert row["answer"] in ANSWERS, row
        for name in ("where", "test") if row["answer"] in ("built", "port") else ("note",):
            assert row[name], (row["id"], name)
        if row["answer"] == "later":
            assert row["part"] in LATER_PARTS, row["id"]


def test_the_rows_are_those_that_were_asked_for(table, data):
    asked = (data.parent / "crm_functions.tsv").read_text(encoding="utf-8").splitlines()[1:]
    told = [line.split("\t")[:5] for line in asked]
    assert [[row[name] for name in COLUMNS[:5]] for row in table] == told


def test_the_page_is_the_table_s(table):
    assert PAGE.read_text(encoding="utf-8") == page(table), "run python tests/crm/coverage_page.py"


def _everyday_tests(path: Path) -> set[str]:
    """Names of the tests of a file that the everyday run takes: not marked long, nor skipped."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            marks = [ast.unparse(one) for one in node.decorator_list]
            if not any("mark.long" in mark or "mark.skip" in mark for mark in marks):
                names.add(node.name)
    return names


def test_every_claimed_test_exists_and_is_run(table):
    known: dict[str, set[str]] = {}
    claims = 0
    for row in table:
        for claim in filter(None, map(str.strip, row["test"].split(";"))):
            file, _, name = claim.partition("::")
            if file not in known:
                assert (ROOT / file).is_file(), (row["id"], file)
                known[file] = _everyday_tests(ROOT / file)
            assert name in known[file], (row["id"], claim)
            claims += 1
    assert claims >= NUM_ROWS / 2


def test_every_claimed_module_and_call_exists(table):
    for row in table:
        for where in filter(None, map(str.strip, row["where"].split(";"))):
            assert (ROOT / "dispatch" / where).exists(), (row["id"], where)
        for call in filter(None, map(str.strip, row["call"].split(";"))):
            if call.startswith("dispatch "):
                continue  # a command: its own tests hold it
            _look_up(row["id"], call)


def _look_up(row: str, call: str) -> None:
    """Find ``Class.method`` of a module of the package, or a public name."""
    found = re.fullmatch(r"([\w.]+):([\w.]+)", call)
    assert found is not None, (row, call, "write dispatch.module:Name.method")
    thing = importlib.import_module(found[1])
    for part in found[2].split("."):
        assert hasattr(thing, part), (row, call)
        thing = getattr(thing, part)
