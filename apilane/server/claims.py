"""Checks before a server starts: its address, a free port, and a data dir without another server."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from apilane.errors import ConfigurationError

__all__ = ["claim_data_dir", "free_port", "resolve"]

ORPHANS_WAIT_S = 10.0
"""Time to wait for the workers of a killed server; they end without a signal."""


def resolve(host: str) -> str:
    """The IP address of ``host``. IPv4 is preferred when it has both, because clients of ``localhost`` try it."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(
            f"The host {host!r} has no address ({error}); set host to an address of this machine."
        ) from error
    found.sort(key=lambda one: one[0] is not socket.AF_INET)
    return str(found[0][4][0])


def free_port(address: str, port: int, *, option: str = "--port") -> int:
    """``port`` if no process listens on it; 0 selects any free port.

    The workers share the port (SO_REUSEPORT), so a bind would also succeed while another such server uses it. This
    check binds without SO_REUSEPORT and fails in that case.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # without it, connections of a server that just ended count
        try:
            probe.bind((address, port))
        except OSError as error:
            raise ConfigurationError(_refused(address, port, option, error)) from error
        return int(probe.getsockname()[1])


def _refused(address: str, port: int, option: str, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"Port {port} on {address} is in use by another server; stop it or choose another with {option}."
        case errno.EACCES:
            return f"Port {port} needs a privilege that this user lacks; choose one above 1023 with {option}."
        case errno.EADDRNOTAVAIL:
            return f"{address} is not an address of this machine; choose another with --host."
    return f"Cannot listen on {address}, port {port}: {error.strerror}."


@contextmanager
def claim_data_dir(data_dir: Path, role: str) -> Iterator[None]:
    """Create the data dir if it is missing, and lock it against a second server of the same role.

    Forked workers inherit the lock, so it is released when the last of them has ended.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(data_dir, os.R_OK | os.W_OK | os.X_OK):
            reason = errno.EROFS if os.statvfs(data_dir).f_flag & os.ST_RDONLY else errno.EACCES
            raise OSError(reason, os.strerror(reason))
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        lock = os.fdopen(os.open(data_dir / f"{role}.lock", flags, 0o600), "a+", encoding="utf-8")
    except OSError as error:
        raise _unusable(data_dir, error) from error
    with lock:
        if not _locked(lock):
            raise ConfigurationError(
                f"The data dir {data_dir} is served by another {role} server (process {_holder(lock) or 'unknown'}); "
                "stop it, or choose another data dir with --data-dir."
            )
        try:
            os.ftruncate(lock.fileno(), 0)
            os.write(lock.fileno(), f"{os.getpid()}\n".encode())  # unbuffered, so that close does not write again
        except OSError as error:
            raise _unusable(data_dir, error) from error
        yield


def _unusable(data_dir: Path, error: OSError) -> ConfigurationError:
    hint = {
        errno.ENOSPC: "Free some space, or choose another with --data-dir.",
        errno.EROFS: "Make it writable, or choose another with --data-dir.",
    }.get(error.errno or 0, "Choose another with --data-dir or give this user the right to write there.")
    return ConfigurationError(f"Cannot use the data dir {data_dir}: {error.strerror}. {hint}")


def _locked(lock: TextIO) -> bool:
    deadline = time.monotonic() + ORPHANS_WAIT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if _is_alive(_holder(lock)) or time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        else:
            return True


def _holder(lock: TextIO) -> int:
    lock.seek(0)
    text = lock.read().strip()
    return int(text) if text.isdigit() else 0


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
