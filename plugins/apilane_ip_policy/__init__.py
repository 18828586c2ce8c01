"""IP lists of applications: ``IPPolicy`` in a manifest, ``spec/security.md`` section 5. The plugin to read first.

A plugin is a module that implements hooks. This one implements a single hook and answers it with a single object; the
core asks that object once per version of an application and calls what it gets back for every request.

1. ``pyproject.toml`` names the module under the entry point ``apilane.plugins``; that is how it is found.
2. The function below is marked as an implementation and named like the hook; ``apilane hooks`` lists it.
3. ``policy.py`` holds the object. Without this plugin nobody enforces IP lists, so ``apply`` refuses them and an
   application that has one answers SERVICE_UNAVAILABLE.
"""

from __future__ import annotations

from apilane.hookspecs import hookimpl
from apilane_ip_policy.policy import IPPolicyCheck

__all__ = ["apilane_register_availability_checks"]


@hookimpl
def apilane_register_availability_checks() -> list[IPPolicyCheck]:
    """Implementations take the arguments they need; this one needs none."""
    return [IPPolicyCheck()]
