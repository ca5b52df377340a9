"""The rules of the house hold for every file; and each rule is able to fail."""

import re
import subprocess
import tomllib
from pathlib import Path, PurePosixPath

import pytest

from house_rules import RULES, Source

ROOT = Path(__file__).resolve().parent.parent
TOP_LEVEL = {"dispatch", "benchmarks", "simulations", "tests", "pyproject.toml", "README.md", "LICENSE"}
BESIDE_THE_FLOORS = {"__init__", "ARCHITECTURE.md", "CHANGELOG.md", "py.typed"}
TESTED_ELSEWHERE = {
    "errors.py": "classes without code of their own",
    "kernels/csr.py": "a tuple of arrays without code of its own",
}


def tracked() -> list[str]:
    """Paths of all files that are or would be committed; without git, of all files outside dot-folders."""
    if (ROOT / ".git").exists():
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return sorted(path for path in set(listed.split("\0")) if path and (ROOT / path).is_file())
    paths = [path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file()]
    return sorted(path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts))


def sources() -> list[Source]:
    """All text files of the repository."""
    found = []
    for path in tracked():
        content = (ROOT / path).read_bytes()
        if b"\0" not in content:
            found.append(Source(path, content.decode()))
    return found


@pytest.fixture(scope="module")
def files() -> list[Source]:
    return sources()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_holds(rule, files):
    assert len(files) > 50
    complaints = [complaint for file in files for complaint in rule(file)]
    assert not complaints, "\n".join(complaints)


# --- each rule fires -----------------------------------------------------------------------------

DOC = '"""Doc."""\n'
LONG = "def f():\n" + "    x = 1\n" * 60
BAD = [
    ("files_are_short", "dispatch/a.py", "x = 1\n" * 601),
    ("files_are_short", "tests/a.py", "\n" * 601),
    ("functions_are_short", "dispatch/a.py", LONG),
    (
        "functions_are_short",
        "tests/a.py",
        "class C:\n" + "".join(f"    {line}\n" for line in LONG.split("\n")),
    ),
    ("parameters_are_few", "dispatch/a.py", "def f(a, b, c, d, /, e, f, *, g, h, i): ..."),
    ("parameters_are_few", "dispatch/a.py", "def f(a, b, c, d, e, f, g, *h, **i): ..."),
    ("parameters_are_few", "dispatch/cli/a.py", "def f(a, b, c, d, e, f, g, h, i): ..."),
    ("public_things_have_docstrings", "dispatch/a.py", "x = 1"),
    ("public_things_have_docstrings", "dispatch/a.py", DOC + "def f(): ..."),
    ("public_things_have_docstrings", "dispatch/a.py", DOC + "class C:\n    x = 1"),
    ("public_things_have_docstrings", "dispatch/a.py", DOC + f"class C:\n    {DOC}    def f(self): ..."),
    ("array_fields_tell_their_shape", "dispatch/a.py", "class C:\n    a: NDArray[np.int32]"),
    ("array_fields_tell_their_shape", "dispatch/a.py", 'class C:\n    a: NDArray[np.int32]\n    """Rows"""'),
    ("array_fields_tell_their_shape", "dispatch/kernels/a.py", 'class C:\n    a: np.ndarray\n    """(n,)"""'),
    ("array_parameters_tell_their_shape", "dispatch/a.py", f"def f(a: ArrayLike):\n    {DOC}"),
    (
        "array_parameters_tell_their_shape",
        "dispatch/kernels/a.py",
        f"@kernel((I32,))\ndef f(out_a):\n    {DOC}",
    ),
    ("nothing_is_printed", "dispatch/a.py", "def f():\n    print(1)"),
    ("no_error_is_swallowed", "tests/a.py", "try:\n    f()\nexcept:\n    g()"),
    ("no_error_is_swallowed", "dispatch/a.py", "try:\n    f()\nexcept ValueError:\n    pass"),
    ("no_error_is_swallowed", "dispatch/a.py", "with contextlib.suppress(ValueError):\n    f()"),
    ("nothing_is_unfinished", "dispatch/page/a.js", "// TO" + "DO: the rest"),
    ("nothing_is_unfinished", "README.md", "FIX" + "ME"),
    ("tests_judge_no_time", "tests/a.py", "assert time.perf_counter() - started < 2"),
    ("tests_judge_no_time", "tests/a.py", "assert took_s < 3"),
    ("excuses_have_reasons", "dispatch/a.py", "x = f()  # type: ig" + "nore[arg-type]"),
    ("excuses_have_reasons", "dispatch/a.py", "import x  # no" + "qa: F401"),
    ("excuses_have_reasons", "dispatch/a.py", "if x:  # pragma: " + "no cover\n    f()"),
    ("excuses_have_reasons", "tests/a.py", "@pytest.mark.skipif(x)\ndef test(): ..."),
    ("excuses_have_reasons", "tests/a.py", "@pytest.mark.skip\ndef test(): ..."),
    ("excuses_have_reasons", "tests/a.py", "def test():\n    pytest.skip()"),
    ("the_workshop_stays_out", "README.md", "see /ho" + "me/somebody/city"),
    ("the_workshop_stays_out", "dispatch/a.py", "PLACE = '/tm" + "p/x'"),
    ("the_workshop_stays_out", "dispatch/a.md", "left to the next ses" + "sion"),
    ("modules_hold_no_state", "dispatch/a.py", "cache = {}"),
    ("modules_hold_no_state", "dispatch/a.py", "rows: list[int] = []"),
    ("modules_hold_no_state", "dispatch/a.py", "Rows = []"),
    ("modules_hold_no_state", "dispatch/a.py", "def f():\n    global X\n    X = 1"),
    ("modules_hold_no_state", "dispatch/a.py", "@functools.lru_cache(maxsize=9)\ndef f(x): ..."),
    ("constants_stay_as_they_are", "dispatch/a.py", "SEEN = {}\ndef f(x):\n    SEEN[x] = 1"),
    ("constants_stay_as_they_are", "dispatch/a.py", "SEEN: list[int] = []\ndef f(x):\n    SEEN.append(x)"),
    ("units_are_the_house_s", "dispatch/a.py", "def f(wait_seconds): ..."),
    ("units_are_the_house_s", "dispatch/a.py", "class C:\n    def f(self):\n        self.trip_km = 1"),
    ("units_are_the_house_s", "dispatch/a.py", "trip_metres = 1"),
    ("kernels_import_little", "dispatch/kernels/a.py", "from dispatch.errors import InputError"),
    ("kernels_import_little", "dispatch/kernels/a.py", "def f():\n    import scipy.sparse"),
    ("kernels_import_little", "dispatch/kernels/a.py", "from ..errors import InputError"),
    ("kernels_import_little", "dispatch/kernels/a.py", "import time"),
]
NAMED = {rule.__name__: rule for rule in RULES}


@pytest.mark.parametrize(("rule", "path", "text"), BAD)
def test_rule_fires(rule, path, text):
    complaints = list(NAMED[rule](Source(path, text)))
    assert complaints
    assert all(complaint.startswith(f"{path}:") for complaint in complaints)


def test_every_rule_is_shown_to_fire():
    assert {rule for rule, _, _ in BAD} == set(NAMED)


GOOD = '''"""Doc; an excuse with its reason is fine."""

from typing import Final

import numpy  # noqa: F401 - shown to be legal

Rows = NDArray[np.int32]
LIMITS: Final = {"a": 1}
__all__ = ["C"]


class C:
    """Rows."""

    from_m: NDArray[np.int32]
    to_m: NDArray[np.int32]
    """(n,) int32"""

    def f(self, a, b, c, d, e, f, g, h: ArrayLike):
        """Work on (n,) arrays, at 3 m/s and 5/work days."""
        own = {}
        own["a"] = self.from_m
        own.update(a=1)
        try:
            return own
        except ValueError:
            raise KeyError from None


def _f(out_rows): ...


def long():
    """Say much.

''' + ("    words\n" * 60 + '    """\n' + "    x = 1\n\n    # why\n" * 59)


@pytest.mark.parametrize("path", ["dispatch/a.py", "dispatch/kernels/a.py", "tests/a.py"])
def test_good_code_passes(path):
    assert [complaint for rule in RULES for complaint in rule(Source(path, GOOD))] == []


def test_each_option_of_a_command_may_be_a_parameter():
    command = "@app.command(epilog='x')\ndef f(a, b, c, d, e, f, g, h, i): ..."
    assert list(NAMED["parameters_are_few"](Source("dispatch/cli/a.py", command))) == []


# --- layout --------------------------------------------------------------------------------------


def test_the_top_level_holds_nothing_else():
    tops = {path.split("/")[0] for path in tracked()}
    assert {top for top in tops if not top.startswith(".")} <= TOP_LEVEL


def floors_of_the_architecture() -> list[set[str]]:
    """The floors that ARCHITECTURE.md draws, from the top; the words before two blanks are names."""
    text = (ROOT / "dispatch" / "ARCHITECTURE.md").read_text()
    drawing = re.search(r"## Floors.*?```\n(.*?)```", text, re.DOTALL)
    assert drawing is not None
    rows = [re.split(r"\s{2,}", line)[0] for line in drawing[1].splitlines() if not line.startswith(" ")]
    return [set(re.findall(r"\w+", row)) for row in rows]


def test_the_architecture_the_contract_and_the_folders_agree():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    floors = floors_of_the_architecture()
    assert floors == [set(re.findall(r"\w+", layer)) for layer in layers]
    within = {path.split("/")[1].removesuffix(".py") for path in tracked() if path.startswith("dispatch/")}
    assert within == set().union(*floors) | BESIDE_THE_FLOORS


def mirror_of(module: PurePosixPath) -> PurePosixPath:
    return module.parent / f"test_{module.name}"


def test_every_module_has_a_test_file_in_the_same_place(files):
    """A package inside a floor is one thing to the outside: one test file may stand for all of it."""
    present = {file.path for file in files}
    modules = [file.module for file in files if file.is_packaged and file.module.name != "__init__.py"]
    assert len(modules) > 40
    missing = []
    for module in modules:
        places = [mirror_of(module)]
        if len(module.parts) > 2:
            places.append(mirror_of(module.parent.with_suffix(".py")))
        if not any(f"tests/{place}" in present for place in places) and str(module) not in TESTED_ELSEWHERE:
            missing.append(f"tests/{places[0]}")
    assert not missing, "\n".join(missing)


def test_the_exceptions_are_still_needed(files):
    present = {file.path for file in files}
    for module in TESTED_ELSEWHERE:
        assert f"dispatch/{module}" in present
        assert f"tests/{mirror_of(PurePosixPath(module))}" not in present
