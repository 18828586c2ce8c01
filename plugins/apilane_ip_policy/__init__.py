"""IP lists of applications: ``IPPolicy`` in a manifest, ``docs/reference/protocol/security.md`` section 5.

Read this plugin first. A plugin is a module that implements hooks. This one implements two, for a check and a command.
The core prepares the check once per version of an application and calls it for every request.

1. ``pyproject.toml`` names the module under the entry point ``apilane.plugins``, so that Apilane finds it.
2. The functions below are marked as implementations and named like their hooks; ``apilane hooks`` lists them.
3. ``policy.py`` holds the check, ``command.py`` the command ``apilane ip-check``. Without this plugin IP lists are not
   enforced, so ``apply`` refuses them and an application that has one answers SERVICE_UNAVAILABLE.
"""

from __future__ import annotations

import click

from apilane.plugin import hookimpl
from apilane_ip_policy.policy import IPPolicyCheck

__all__ = ["apilane_register_availability_checks", "apilane_register_commands"]


@hookimpl
def apilane_register_availability_checks() -> list[IPPolicyCheck]:
    """An implementation declares only the arguments that it needs; this one needs none."""
    return [IPPolicyCheck()]


@hookimpl
def apilane_register_commands() -> list[click.Command]:
    """The command is imported here, so that the server does not load it."""
    from apilane_ip_policy.command import ip_check

    return [ip_check]
