"""Where an application's files lie under the data folder."""

from __future__ import annotations

from pathlib import Path

__all__ = ["application_folder", "make_application_folder"]


def application_folder(data_dir: Path, token: str) -> Path:
    """``{data_dir}/apps/{token}``: ``data.db`` of an embedded provider, and ``files/``."""
    return data_dir / "apps" / token


def make_application_folder(data_dir: Path, token: str) -> bool:
    """Make the folders of a new application, open to their owner only; False when they were there already."""
    folder = application_folder(data_dir, token)
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        (folder / "files").mkdir(mode=0o700, exist_ok=True)
        return False
    (folder / "files").mkdir(mode=0o700)
    return True
