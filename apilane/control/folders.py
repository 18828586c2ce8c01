"""The folder and the database address of an application."""

from __future__ import annotations

from pathlib import Path

from apilane.control.secrets import Secrets
from apilane.storage.protocol import Driver

__all__ = ["application_address", "application_folder", "is_lost", "make_application_folder"]


def application_folder(data_dir: Path, token: str) -> Path:
    """``{data_dir}/apps/{token}``: it contains ``files/``, and ``data.db`` of an embedded provider."""
    return data_dir / "apps" / token


def make_application_folder(data_dir: Path, token: str) -> bool:
    """Create the folders of a new application; only their owner gets access. False when they existed already."""
    folder = application_folder(data_dir, token)
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        (folder / "files").mkdir(mode=0o700, exist_ok=True)
        return False
    (folder / "files").mkdir(mode=0o700)
    return True


def application_address(data_dir: Path, token: str, secrets: Secrets) -> str:
    """The address for ``Driver.session``: the connection string, or the file of an embedded provider."""
    if secrets.connection_string is not None:
        return secrets.connection_string
    return str(application_folder(data_dir, token) / "data.db")


def is_lost(driver: Driver, address: str) -> bool:
    """Whether the file of an embedded database is missing; always false for a database on a server."""
    return driver.features.embedded and not Path(address).exists()
