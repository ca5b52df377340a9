"""What the README shows is there and works."""

import importlib.util
import re
import shlex
import tomllib
from pathlib import Path

import typer

from dispatch.cli import app
from dispatch.sim.scenario_file import ScenarioFile

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
TEST_COMMAND = (
    'python3 -m venv .venv-test && .venv-test/bin/pip install -e ".[test]" && .venv-test/bin/python -m pytest'
)
MAX_EXAMPLE_LINES = 15


def blocks(*languages):
    """The fenced blocks in these languages."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return [text for language, text in found if language in languages]


def shell_lines():
    """The command lines that the README shows, without prompts and comments."""
    lines = "".join(blocks("bash", "sh", "shell", "console")).replace("\\\n", " ").splitlines()
    return [line.removeprefix("$ ").strip() for line in lines if line.strip() and not line.startswith("#")]


def calls():
    """What follows the program ``dispatch`` in each command, as words."""
    parts = [shlex.split(part, comments=True) for line in shell_lines() for part in line.split("&&")]
    return [words[1:] for words in parts if words and Path(words[0]).name == "dispatch"]


def test_the_first_two_commands_run_the_main_job_and_the_tests():
    assert len(shell_lines()) >= 2, "README.md shows no commands"
    main, tests = shell_lines()[:2]
    assert main.startswith("python3 -m venv .venv && ")
    assert main.rpartition("&& ")[2].startswith(".venv/bin/dispatch simulate ")
    assert "--report" in main
    assert tests == TEST_COMMAND


def test_they_are_on_the_first_screen():
    assert README.count("\n", 0, README.index(TEST_COMMAND)) < 30


def test_commands_and_options_exist():
    assert len(calls()) >= 3
    for call in calls():
        command, words = typer.main.get_command(app), list(call)
        while hasattr(command, "commands"):
            assert words[0] in command.commands, f"dispatch {' '.join(call)}"
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        given = {word.partition("=")[0] for word in words if word.startswith("-")}
        assert given <= known, f"dispatch {' '.join(call)}: {given - known}"


def test_scenario_files_have_right_keys_and_values():
    (text,) = blocks("toml")
    assert ScenarioFile(tomllib.loads(text)).values["day"]["demand_scale"] == 1.5


def test_modules_that_are_run_exist():
    for module in re.findall(r"python -m ([\w.]+)", "\n".join(shell_lines())):
        assert importlib.util.find_spec(module), module


def test_linked_files_exist():
    targets = re.findall(r"\]\(([^)#\s]+)", README) + re.findall(r'src="([^"]+)"', README)
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (ROOT / target).exists()] == []
    assert any(target.endswith((".png", ".jpg", ".webp", ".svg")) for target in local), (
        "README.md shows no picture"
    )


def test_the_embedding_example_runs(capsys, tmp_path, monkeypatch):
    examples = blocks("python")
    assert examples, "README.md shows no Python"
    lines = [line for line in examples[0].splitlines() if line.strip()]
    assert len(lines) <= MAX_EXAMPLE_LINES
    monkeypatch.chdir(tmp_path)
    exec(compile(examples[0], "README.md", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out.strip(), "the example shows nothing"


def test_the_crm_example_runs(capsys, tmp_path, monkeypatch):
    (example,) = (text for text in blocks("python") if "Crm.create" in text)
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {"__name__": "__main__"})
    told = capsys.readouterr().out
    assert "order 7" in told
    assert "by the tier gold" in told


def test_further_python_compiles():
    for example in blocks("python")[1:]:
        compile(example, "README.md", "exec")
