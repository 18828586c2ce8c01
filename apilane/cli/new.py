"""``apilane new``: writes a complete small plugin or driver under a new name, as a starting point."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import rich_click as click

from apilane.errors import ConfigurationError

__all__ = ["new"]

# The templates are in contrib/ of the repository; pyproject.toml adds them to the wheel.
SHIPPED = Path(str(files("apilane"))) / "templates"
CHECKOUT = Path(str(files("apilane"))).parent / "contrib"
SUFFIXES = {".py", ".md", ".toml", ".typed"}

_name = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*").fullmatch


@click.group()
def new() -> None:
    """Create a new plugin or driver from templates that are tested with every release."""


_folder_option = click.option(
    "--folder", type=click.Path(path_type=Path), help="Folder to create. Default: apilane-NAME."
)


@new.command()
@click.argument("name")
@_folder_option
def plugin(name: str, folder: Path | None) -> None:
    """Write a plugin with an availability check, an endpoint kind, record handlers and tests into a new folder.

    NAME is lower-case words joined by hyphens, such as opening-hours.
    """
    name, module = _names(name, "plugin", "opening-hours")
    replaced = {
        "apilane_template": module,
        "apilane-template": f"apilane-{name}",
        'template = "': f'{name.replace("-", "_")} = "',  # the entry point
        "plugins.template": f"plugins.{name.replace('-', '_')}",  # its section in apilane.toml
        "template_window": f"{name.replace('-', '_')}_window",
        "TEMPLATE_WINDOW": f"{name.replace('-', '_').upper()}_WINDOW",
    }
    _make("plugin", name, folder, replaced)


@new.command()
@click.argument("name")
@_folder_option
def driver(name: str, folder: Path | None) -> None:
    """Write a storage driver that passes the conformance suite into a new folder.

    NAME is lower-case words joined by hyphens, such as cloud-files; manifests then say StorageProvider: CloudFiles.
    """
    name, module = _names(name, "driver", "cloud-files")
    replaced = {
        "apilane_template_driver": module,
        "apilane-template-driver": f"apilane-{name}",
        'template = "': f'{name.replace("-", "_")} = "',  # the entry point
        "template-driver": name,
        "Template": "".join(word.capitalize() for word in name.split("-")),
    }
    _make("driver", name, folder, replaced)


def _names(name: str, what: str, example: str) -> tuple[str, str]:
    """The name without prefix, and the name of the module. Raises ConfigurationError for an invalid or taken name."""
    name = name.removeprefix("apilane-")
    if not _name(name):
        raise ConfigurationError(f"{name!r} is not a valid name for a {what}; use lower-case words such as {example}.")
    module = f"apilane_{name.replace('-', '_')}"
    if importlib.util.find_spec(module):
        raise ConfigurationError(f"The module {module} is installed already; choose another name.")
    return name, module


def _make(what: str, name: str, folder: Path | None, replaced: Mapping[str, str]) -> None:
    folder = folder or Path(f"apilane-{name}")
    template = SHIPPED / what if SHIPPED.is_dir() else CHECKOUT / f"template-{what}"
    try:
        _copy(template, folder, replaced)
    except FileExistsError:
        raise ConfigurationError(f"{folder} exists already; choose another name or --folder.") from None
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be written: {error.strerror or error}.") from None
    click.echo(f"Created {folder}. Next: pip install -e '{folder}[test]' && pytest {folder}")


def _copy(template: Path, folder: Path, replaced: Mapping[str, str]) -> None:
    """Copy the template's files and replace its names in contents and file names; longer names are replaced first."""
    names = re.compile("|".join(map(re.escape, sorted(replaced, key=len, reverse=True))))
    folder.mkdir(parents=True)
    for source in sorted(template.rglob("*")):
        if source.suffix in SUFFIXES:
            target = folder / names.sub(lambda found: replaced[found[0]], str(source.relative_to(template)))
            target.parent.mkdir(parents=True, exist_ok=True)
            text = source.read_text(encoding="utf-8")
            target.write_text(names.sub(lambda found: replaced[found[0]], text), encoding="utf-8")
