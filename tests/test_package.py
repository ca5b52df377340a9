"""What is in the distribution that people install."""

import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

import dispatch

ROOT = Path(__file__).resolve().parent.parent
NO_PACKAGE_DATA = {".pyc", ".nbi", ".nbc"}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder with a wheel and a source distribution of the present tree."""
    folder = tmp_path_factory.mktemp("dist")
    run = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return folder


def package_files():
    """All files below dispatch/ that are not made by running it."""
    paths = [path for path in (ROOT / "dispatch").rglob("*") if path.is_file()]
    return {path.relative_to(ROOT).as_posix() for path in paths if path.suffix not in NO_PACKAGE_DATA}


def test_the_wheel_holds_the_whole_package_and_nothing_else(built):
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    package = {name for name in names if not name.split("/")[0].endswith(".dist-info")}
    assert package == package_files()
    needed = {"py.typed", "ARCHITECTURE.md", "CHANGELOG.md"}
    assert {f"dispatch/{name}" for name in needed} <= package
    assert {Path(name).suffix for name in package if name.startswith("dispatch/analysis/")} >= {
        ".html",
        ".css",
        ".js",
    }


def test_the_wheel_tells_what_it_is(built):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (about,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        (scripts,) = [name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt")]
        metadata = message_from_bytes(archive.read(about))
        assert "dispatch = dispatch.cli:main" in archive.read(scripts).decode()
    assert (metadata["Name"], metadata["Version"]) == ("dispatch-engine", dispatch.__version__)
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"


def test_the_source_distribution_builds_the_same_package(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {name for name in names if name.startswith("dispatch/")} == package_files()
    assert {"README.md", "LICENSE", "pyproject.toml"} <= names
