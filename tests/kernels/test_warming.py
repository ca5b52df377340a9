"""All kernels are compiled ahead, each by one process."""

import signal
import subprocess
import sys
import time

import pytest

from dispatch.kernels.jit import Kernel, load_all
from dispatch.kernels.warming import _Helpers, compile_share, warm_up


def test_warm_up_tells_each_kernel_and_the_end():
    told = []
    assert warm_up(lambda *step: told.append(step), processes=1) > 0
    names = [one.name for one in load_all().values() if one.signatures]
    assert told == [(name, i, len(names)) for i, name in enumerate([*names, ""])]


@pytest.mark.compiled
def test_warm_up_compiles_the_registered_signatures_and_no_others():
    code = """
from dispatch.kernels.jit import load_all
from dispatch.kernels.warming import warm_up
from kernel_signatures import compiled, registered
warm_up()
kernels = load_all().values()
assert any(one.signatures for one in kernels)
for one in kernels:
    assert not one.signatures or compiled(one) == registered(one), (one.name, compiled(one), registered(one))
"""
    run = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path = {sys.path!r}\n{code}"], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr


def test_a_kernel_without_signatures_is_a_helper_that_warm_up_passes_by(scratch_registry):
    def fails_if_called(*_):
        raise AssertionError

    scratch_registry["helper"] = Kernel("helper", fails_if_called, ())
    told = []
    warm_up(lambda *step: told.append(step[0]), processes=1)
    assert "helper" not in told


def test_each_kernel_is_compiled_by_one_process(tmp_path, scratch_registry):
    compiled = []

    class Compiles:
        def __init__(self, name):
            self.name = name
            self.stats = type("Stats", (), {"cache_misses": {}})()

        def compile(self, signature):
            compiled.append((self.name, signature))

    for name in ("a", "b", "c"):
        scratch_registry[name] = Kernel(name, Compiles(name), ((name, 1), (name, 2)))
    (tmp_path / "1").touch()  # by another process
    compile_share(str(tmp_path))
    compile_share(str(tmp_path))
    assert compiled == [("a", ("a", 1)), ("a", ("a", 2)), ("c", ("c", 1)), ("c", ("c", 2))]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "2"]


def test_other_processes_take_all_kernels_and_end(tmp_path, monkeypatch):
    elsewhere = tmp_path.with_name("elsewhere")
    (elsewhere / "dispatch").mkdir(parents=True)
    (elsewhere / "dispatch" / "__init__.py").write_text("raise ImportError('of another folder')")
    monkeypatch.chdir(elsewhere)
    num = sum(bool(one.signatures) for one in load_all().values())
    with _Helpers(str(tmp_path)) as helpers:
        assert not helpers.are_busy()
        helpers.start(2)
        assert helpers.are_busy()
        while helpers.are_busy():
            time.sleep(0.05)
        assert [one.returncode for one in helpers._running] == [0, 0]
    assert sum(1 for _ in tmp_path.iterdir()) == num


def test_other_processes_end_where_the_first_one_is_interrupted(tmp_path):
    def interrupted():
        with _Helpers(str(tmp_path)) as helpers:
            running.append(helpers)
            helpers.start(2)
            raise KeyboardInterrupt

    running = []
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not running[0].are_busy()


def is_alive(pid):
    state = subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, text=True).stdout
    return state.strip()[:1] not in ("", "Z")


def test_other_processes_end_with_the_first_one_however_it_ends(tmp_path):
    code = f"""
import os, signal, sys
sys.path = {sys.path!r}
from dispatch.kernels.warming import _Helpers
helpers = _Helpers({str(tmp_path)!r})
helpers.start(2)
print(*(one.pid for one in helpers._running), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    died = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    deadline = time.monotonic() + 60
    while any(is_alive(pid) for pid in died.stdout.split()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    num = sum(bool(one.signatures) for one in load_all().values())
    assert sum(1 for _ in tmp_path.iterdir()) < num


def test_an_embedded_python_compiles_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "")
    with _Helpers(str(tmp_path)) as helpers:
        helpers.start(2)
        assert helpers.are_started
        assert not helpers.are_busy()
