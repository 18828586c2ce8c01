"""Custom endpoints: finding one by name, and trying its text out (``spec/query-language.md`` section 8)."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from apilane.errors import ApilaneError, Code
from apilane.model.definition import Endpoint
from apilane.plugin.endpoints import EndpointAction, ResultSets
from apilane.plugin.identity import Actor
from apilane.runtime.application import ApplicationRuntime

__all__ = ["action_of", "find_endpoint", "try_out"]


def find_endpoint(application: ApplicationRuntime, name: str) -> Endpoint:
    """The endpoint of a name, ignoring letter case; NOT_FOUND."""
    endpoint = application.endpoints.get(name.lower())
    if endpoint is None:
        raise ApilaneError(Code.NOT_FOUND, "Custom endpoint not found")
    return endpoint


def action_of(application: ApplicationRuntime, endpoint: Endpoint) -> EndpointAction:
    """What runs an endpoint; NOT_FOUND with HTTP status 404 when the plugin of its kind is not loaded."""
    action = application.endpoint_action(endpoint.name.lower())
    if action is None:
        raise ApilaneError(Code.NOT_FOUND, status=404)
    return action


async def try_out(
    application: ApplicationRuntime, endpoint: Endpoint, parameters: Mapping[str, str], owner: Actor
) -> ResultSets:
    """Run the text of an endpoint for an owner and undo whatever it writes (section 8.4, B-Q9).

    ``{Owner}`` takes the value of the parameter ``Owner``. Whether the caller owns the application was checked before.
    """
    kind = application.endpoint_kinds.get(endpoint.kind.lower())
    if kind is None:
        raise ApilaneError(Code.NOT_FOUND, status=404)
    text = parameters.get("Owner", "").strip()
    is_id = text.isascii() and text.isdecimal() and len(text) <= 18
    actor = replace(owner, user_id=int(text) if is_id else None)
    return await kind.compile(endpoint, application).run(parameters, actor, keep=False)
