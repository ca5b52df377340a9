"""The page of what is covered: no row without an answer, and no claim without its test."""

import ast
import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import typer

from crm.coverage_page import ANSWERS, COLUMNS, NUM_ROWS, PAGE, ROOT, _anchor, page, parts, rows
from dispatch.cli import app

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


def test_every_link_of_the_page_leads_somewhere(table):
    text = page(table)
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert len(links) > 2 * NUM_ROWS
    assert [link for link in set(links) if not (PAGE.parent / link).exists()] == []
    headings = {_anchor(line[3:]) for line in text.splitlines() if line.startswith("## ")}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) == headings
    widths = {line.count("|") - line.count("\\|") for line in text.splitlines() if line.startswith("| S")}
    assert widths == {7}, "a cell broke its row"


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
        for claim in parts(row["test"]):
            file, _, name = claim.partition("::")
            if file not in known:
                assert (ROOT / file).is_file(), (row["id"], file)
                known[file] = _everyday_tests(ROOT / file)
            assert name in known[file], (row["id"], claim)
            claims += 1
    assert claims >= NUM_ROWS / 2


def test_every_claimed_module_and_call_exists(table):
    for row in table:
        for where in parts(row["where"]):
            assert (ROOT / "dispatch" / where).exists(), (row["id"], where)
        for call in parts(row["call"]):
            if call.startswith("dispatch "):
                _find_command(row["id"], call.split()[1:])
            else:
                _look_up(row["id"], call)


def _find_command(row: str, words: list[str]) -> None:
    """Find a command with its options; what it does is held by tests of its own."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        assert words[0] in command.commands, (row, words)
        command = command.commands[words.pop(0)]
    known = {"--help"} | {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("-")} <= known, (row, words)


def _look_up(row: str, call: str) -> None:
    """Find ``Class.method`` of a module of the package, or a public name."""
    found = re.fullmatch(r"([\w.]+):([\w.]+)", call)
    assert found is not None, (row, call, "write dispatch.module:Name.method")
    thing = importlib.import_module(found[1])
    for part in found[2].split("."):
        assert hasattr(thing, part), (row, call)
        thing = getattr(thing, part)
