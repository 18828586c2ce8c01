"""Custom endpoints: finds one by name, and the action that runs it (``docs/reference/protocol/query-language.md``
section 8)."""

from __future__ import annotations

from apilane.errors import ApilaneError, Code, OperatorsOnlyError
from apilane.model.definition import Endpoint
from apilane.plugin.endpoints import EndpointAction
from apilane.runtime.application import ApplicationRuntime

__all__ = ["action_of", "find_endpoint"]


def find_endpoint(application: ApplicationRuntime, name: str, *, posted: bool = False) -> Endpoint:
    """The endpoint of that name, in any letter case. Raises NOT_FOUND.

    ``posted``: the endpoint must allow POST. Raises UNAUTHORIZED otherwise, as for the test call of operators.
    """
    endpoint = application.endpoints.get(name.lower())
    if posted and (endpoint is None or "POST" not in endpoint.methods):
        raise OperatorsOnlyError
    if endpoint is None:
        raise ApilaneError(Code.NOT_FOUND, "Custom endpoint not found")
    return endpoint


def action_of(application: ApplicationRuntime, endpoint: Endpoint) -> EndpointAction:
    """The action that runs an endpoint. Raises NOT_FOUND with HTTP status 404 when its plugin is not loaded."""
    action = application.endpoint_action(endpoint.name.lower())
    if action is None:
        raise ApilaneError(Code.NOT_FOUND, status=404)
    return action
