"""``apilane new``: a complete small plugin under a name of its own, to be changed."""

from __future__ import annotations

import importlib.util
import re
from importlib.resources import files
from pathlib import Path

import rich_click as click

from apilane.errors import ConfigurationError

__all__ = ["new"]

# The files lie once in the repository, in contrib/; pyproject.toml puts them into the wheel beside the package's own.
SHIPPED = Path(str(files("apilane"))) / "templates" / "plugin"
CHECKOUT = Path(str(files("apilane"))).parent / "contrib" / "template-plugin"
SUFFIXES = {".py", ".md", ".toml", ".typed"}

_name = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*").fullmatch


@click.group()
def new() -> None:
    """Make a new plugin from the template that is tested with every release."""


@new.command()
@click.argument("name")
@click.option("--folder", type=click.Path(path_type=Path), help="Folder to make. Default: apilane-NAME.")
def plugin(name: str, folder: Path | None) -> None:
    """Write a plugin with one availability check, one kind of endpoints and their tests into a new folder.

    NAME is lower-case words joined by hyphens, such as opening-hours.
    """
    name = name.removeprefix("apilane-")
    if not _name(name):
        raise ConfigurationError(f"{name!r} is no name for a plugin; use lower-case words such as opening-hours.")
    module = f"apilane_{name.replace('-', '_')}"
    if importlib.util.find_spec(module):
        raise ConfigurationError(f"The module {module} is installed already; choose another name.")
    folder = folder or Path(f"apilane-{name}")
    try:
        _copy(SHIPPED if SHIPPED.is_dir() else CHECKOUT, folder, name, module)
    except FileExistsError:
        raise ConfigurationError(f"{folder} is there already; choose another name or --folder.") from None
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be written: {error.strerror or error}.") from None
    click.echo(f"Made {folder}. Next: pip install -e '{folder}[test]' && pytest {folder}")


def _copy(template: Path, folder: Path, name: str, module: str) -> None:
    """The template's files with its name replaced, in their names too."""
    names = {
        "apilane_template": module,
        "apilane-template": f"apilane-{name}",
        'template = "': f'{name.replace("-", "_")} = "',  # the entry point
    }
    folder.mkdir(parents=True)
    for source in sorted(template.rglob("*")):
        if source.suffix in SUFFIXES:
            text = source.read_text(encoding="utf-8")
            target = str(source.relative_to(template))
            for old, new_name in names.items():
                text, target = text.replace(old, new_name), target.replace(old, new_name)
            (folder / target).parent.mkdir(parents=True, exist_ok=True)
            (folder / target).write_text(text, encoding="utf-8")
