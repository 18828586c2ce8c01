"""The hook of sign-in steps."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from apilane.dispatch import Hooks, freeze
from apilane.plugins import PluginError, load_plugins
from apilane.settings import Settings

Write = Callable[..., Settings]

STEP = """
class Step:
    kind = {kind!r}

    {colour}def applies(self, user):
        return True

    async def challenge(self, user):
        return {{}}

    async def verify(self, user, answer, asked):
        return False

@hookimpl
def apilane_register_sign_in_steps():
    return [Step()]
"""


def frozen(settings: Settings) -> Hooks:
    """The hooks of an application with these settings."""
    return freeze(load_plugins(settings), settings)


def test_hook_apilane_register_sign_in_steps(write_plugin: Write) -> None:
    """The steps of all plugins are kept in plugin order; two steps cannot have one kind."""
    write_plugin("first", STEP.format(kind="pin", colour="async "))
    settings = write_plugin("second", STEP.format(kind="colour", colour="async "))
    assert [step.kind for step in frozen(settings).sign_in_steps] == ["pin", "colour"]
    write_plugin("third", STEP.format(kind="pin", colour="async "))
    with pytest.raises(PluginError, match=r"'third'.*has the kind 'pin'; expected"):
        frozen(settings)


@pytest.mark.parametrize(
    ("kind", "colour", "told"),
    [
        ("", "async ", "has the kind ''"),
        (5, "async ", "has the kind 5"),
        ("pin", "", "must be written with 'async def'"),
    ],
)
def test_unfit_steps_stop_start_up(write_plugin: Write, kind: object, colour: str, told: str) -> None:
    """A wrong step is reported with its plugin before anything is opened."""
    with pytest.raises(PluginError, match="'odd', hook apilane_register_sign_in_steps") as caught:
        frozen(write_plugin("odd", STEP.format(kind=kind, colour=colour)))
    assert told in str(caught.value)
