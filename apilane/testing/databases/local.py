"""Database servers from binaries of this machine: in a new folder, on a free port, and not as root.

They are fast and not durable. Their settings differ from those that drivers need: another time zone, MySQL's lax modes
and old character set. This tests that a driver sets up its connections. Not for production.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Final, NamedTuple, Self

from apilane.testing.databases import NoServerError
from apilane.testing.server import free_port

__all__ = ["LocalServer"]

PASSWORD: Final = "Passw0rd-of-tests"  # noqa: S105 -- the servers run only during a test run
START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 20.0
UNPRIVILEGED_UID: Final = 65534
"""The account without rights of Linux."""


class _Place(NamedTuple):
    """The files and the port of a server. ``secrets``: a file that only the server's user can read."""

    data: Path
    socket: Path
    secrets: Path
    port: int


class _Binary(NamedTuple):
    """An installed server, and how to run it."""

    user: str
    initialise: Callable[[_Place], list[str]]
    serve: Callable[[_Place], list[str]]
    secrets: str
    ready: str
    stop: signal.Signals
    crash: signal.Signals
    account: str
    database: str


class LocalServer:
    """A server of ``kind`` in ``folder``, running inside ``with``. Its methods stop and start it.

    ``options``: more arguments of its command line. ``files``: contents by name, put into ``folder``, readable only for
    the server. Raises NoServerError when no binary is found or it does not start. ``log`` is the file with its output.
    """

    def __init__(
        self, kind: str, folder: Path, *, options: Sequence[str] = (), files: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._binary = _found(kind)
        self._user = _unprivileged(self._binary.user)
        self._folder = folder
        self._options = options
        self._files = {folder / name: content for name, content in files.items()}
        self.log = folder / "log"
        self.port = free_port()
        self._place = _Place(folder / "data", folder / "socket", folder / "secrets", self.port)
        self.url = f"{self._binary.account}:{PASSWORD}@127.0.0.1:{self.port}/{self._binary.database}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._place.secrets.write_text(self._binary.secrets)
        self._place.data.mkdir(mode=0o700)
        for path, content in self._files.items():
            path.write_text(content)
            path.chmod(0o600)
        if self._user is not None:
            for path in (self._folder, self._place.data, self._place.secrets, *self._files):
                os.chown(path, self._user.pw_uid, self._user.pw_gid)
        with self.log.open("ab") as log:
            if self._start_process(self._binary.initialise(self._place), log).wait(START_TIMEOUT_S) != 0:
                raise self._failure("could not initialise its data folder")
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.thaw()
            self.kill()  # its data is not needed any more

    def start(self) -> None:
        """Start the server, and wait until it accepts connections."""
        printed = self.log.stat().st_size
        with self.log.open("ab") as log:
            self._process = self._start_process([*self._binary.serve(self._place), *self._options], log)
        deadline = time.monotonic() + START_TIMEOUT_S
        while self._binary.ready.encode() not in self.log.read_bytes()[printed:]:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise self._failure("did not start")
            time.sleep(0.02)

    def stop(self) -> None:
        """End every connection and stop the server, like a restart."""
        if self._process is not None:
            self._process.send_signal(self._binary.stop)
            self._process.wait(STOP_TIMEOUT_S)
            self._process = None

    def kill(self) -> None:
        """Stop immediately, like a crash; the latest commits may be lost."""
        if self._process is not None:
            self._process.send_signal(self._binary.crash)
            self._process.wait(STOP_TIMEOUT_S)
            self._process = None

    def freeze(self) -> None:
        """Make the server hang: connections are accepted, but there are no answers. ``thaw`` ends it."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Continue after ``freeze``."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        """Send a signal to the server and its children: PostgreSQL has a process for each connection."""
        assert self._process is not None, "the server does not run"
        parent = self._process.pid
        os.kill(parent, number)
        for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), number)

    def _start_process(self, command: list[str], log: Any) -> subprocess.Popen[bytes]:
        user = self._user
        identity: dict[str, Any] = (
            {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        )
        return subprocess.Popen(
            command,
            cwd=self._folder,
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self._folder), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            **identity,
        )

    def _failure(self, what: str) -> NoServerError:
        end = " | ".join(self.log.read_text(errors="replace").splitlines()[-5:])
        return NoServerError(f"the server found on this machine {what}: {end}")


def _unprivileged(name: str) -> pwd.struct_passwd | None:
    """The user to run the server as, because servers refuse to run as root. None: the user of the tests."""
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(name)
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(UNPRIVILEGED_UID)
    raise NoServerError(f"the tests run as root, and there is neither a user {name} nor one with ID {UNPRIVILEGED_UID}")


def _program(*names: str, folders: Sequence[Path] = ()) -> str | None:
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin", *map(str, folders)])
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


def _found(kind: str) -> _Binary:
    if kind == "postgresql":
        return _postgresql()
    if kind == "sqlserver":
        raise NoServerError("SQL Server is not started from binaries")
    return _mysql(kind)


# Do not wait for the disk, and write no logs for replicas.
_MYSQL_FLAGS: Final = (
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--skip-log-bin",
    "--max-connections=400",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--innodb-buffer-pool-size=128M",
    "--performance-schema=OFF",
    "--default-time-zone=+05:45",
    "--sql-mode=",
    "--character-set-server=latin1",
)


def _mysql(kind: str) -> _Binary:
    mariadb, install = _program("mariadbd"), _program("mariadb-install-db", "mysql_install_db")
    mysql = _program("mysqld") if kind == "mysql" else None
    if mysql is not None and (mariadb is None or Path(mysql).resolve() != Path(mariadb).resolve()):
        program = mysql

        def initialise(place: _Place) -> list[str]:
            return [program, "--no-defaults", "--initialize-insecure", f"--datadir={place.data}"]

        more = ["--mysqlx=OFF"]
        scheme = "mysql"
    elif mariadb is not None and install is not None:
        program, installer = mariadb, install

        def initialise(place: _Place) -> list[str]:
            method = "--auth-root-authentication-method=normal"
            return [installer, "--no-defaults", f"--datadir={place.data}", method, "--skip-test-db"]

        more = []
        scheme = "mariadb"
    else:
        wanted = "mysqld or mariadbd" if kind == "mysql" else "mariadbd"
        raise NoServerError(f"neither {wanted} is installed here (Debian: mariadb-server)")

    def serve(place: _Place) -> list[str]:
        own = [f"--datadir={place.data}", f"--socket={place.socket}", f"--port={place.port}"]
        own += [f"--pid-file={place.data}/pid", f"--init-file={place.secrets}"]
        return [program, "--no-defaults", *own, *_MYSQL_FLAGS, *more]

    account = (
        f"CREATE USER IF NOT EXISTS 'apilane'@'%' IDENTIFIED BY '{PASSWORD}';\n"
        "GRANT ALL ON *.* TO 'apilane'@'%' WITH GRANT OPTION;\n"
    )
    return _Binary(
        user="mysql",
        initialise=initialise,
        serve=serve,
        secrets=account,
        ready="ready for connections",
        stop=signal.SIGTERM,
        crash=signal.SIGKILL,
        account=f"{scheme}://apilane",
        database="mysql",
    )


def _postgresql() -> _Binary:
    newest = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    program, initdb = _program("postgres", folders=newest), _program("initdb", folders=newest)
    if program is None or initdb is None:
        raise NoServerError("postgres is not installed here (Debian: postgresql)")

    def initialise(place: _Place) -> list[str]:
        who = ["--username=apilane", f"--pwfile={place.secrets}", "--auth=scram-sha-256"]
        return [initdb, f"--pgdata={place.data}", *who, "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]

    def serve(place: _Place) -> list[str]:
        chosen = {
            "port": place.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": 400,
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "deadlock_timeout": "50ms",
            "timezone": "Asia/Kathmandu",
        }
        flags = [part for name, value in chosen.items() for part in ("-c", f"{name}={value}")]
        return [program, "-D", str(place.data), *flags]

    return _Binary(
        user="postgres",
        initialise=initialise,
        serve=serve,
        secrets=PASSWORD,
        ready="ready to accept connections",
        stop=signal.SIGINT,  # fast shutdown: ends connections
        crash=signal.SIGQUIT,  # immediate shutdown, which releases its shared memory
        account="postgresql://apilane",
        database="postgres",
    )
