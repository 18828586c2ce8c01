"""Throwaway plugins, real ones: files in a folder, distributions with entry points."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from apilane.settings import Settings

HEAD = "from apilane.plugin import hookimpl\n"


@pytest.fixture
def plugins_dir(tmp_path: Path) -> Path:
    """An empty folder for single-file plugins."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    return folder


@pytest.fixture
def write_plugin(plugins_dir: Path) -> Callable[..., Settings]:
    """Write ``<name>.py`` and return settings that load the folder."""

    def write(name: str, body: str, **settings: object) -> Settings:
        (plugins_dir / f"{name}.py").write_text(HEAD + dedent(body), encoding="utf-8")
        return Settings(plugins_dir=plugins_dir, **settings)  # type: ignore[arg-type]

    return write


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Install a distribution with one module and one entry point, for the length of a test."""

    def make(name: str, body: str, *, group: str = "apilane.plugins", version: str = "1.2.3") -> None:
        module = f"acme_{name}"
        site = tmp_path / f"site_{name}"
        metadata = site / f"{module}-{version}.dist-info"
        metadata.mkdir(parents=True)
        (site / f"{module}.py").write_text(HEAD + dedent(body), encoding="utf-8")
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: {version}\n")
        (metadata / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}\n")
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.delitem(sys.modules, module, raising=False)

    return make
