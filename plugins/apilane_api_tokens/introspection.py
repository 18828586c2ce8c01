"""Introspection (RFC 7662) and revocation (RFC 7009) for programs whose token has the scope ``introspect``.

Only tokens of the same application are known. The answer for any other text is that for an unknown token.
"""

from __future__ import annotations

from time import time_ns
from typing import Any, Final
from urllib.parse import parse_qs

from apilane.plugin import CallView, Program, Reply, WireCall, encode_json
from apilane_api_tokens.authenticator import INTROSPECT
from apilane_api_tokens.descriptions import INTROSPECTION, REVOCATION
from apilane_api_tokens.form import is_token
from apilane_api_tokens.service import ApiTokens
from apilane_api_tokens.tokens import names_in

__all__ = ["introspection_calls"]

FORM: Final = "application/x-www-form-urlencoded"
BODY_MAX: Final = 10_000
NO_STORE: Final = ((b"cache-control", b"no-store"), (b"pragma", b"no-cache"))


def introspection_calls() -> list[WireCall]:
    """``ApiTokens/Introspect`` and ``ApiTokens/Revocation``."""
    access = Program(scope=INTROSPECT)
    return [
        WireCall(
            path=f"/api/ApiTokens/{name}",
            method="POST",
            action=action,
            access=access,
            body="stream",
            audited=False,
            description=description,
        )
        for name, action, description in (
            ("Introspect", _introspect, INTROSPECTION),
            ("Revocation", _revoke, REVOCATION),
        )
    ]


async def _introspect(call: CallView) -> Reply:
    token = await _token(call)
    if token is None:
        return _refused("invalid_request")
    return Reply(encode_json(await _state(call, token)), headers=NO_STORE)


async def _state(call: CallView, token: str) -> dict[str, Any]:
    tokens = ApiTokens(call.application)
    found = await tokens.find(token) if is_token(token) else None
    now_ms = time_ns() // 1_000_000
    if found is None or found[0].status(now_ms) != "active" or now_ms >= found[1]:
        return {"active": False}
    row, until_ms = found
    user = None if row.user_id is None else await call.application.tokens.find_user(id=row.user_id)
    if row.user_id is not None and user is None:
        return {"active": False}
    state: dict[str, Any] = {
        "active": True,
        "scope": " ".join(name.replace(" ", "") for name in names_in(row.scopes)),
        "token_type": "Bearer",
        "exp": until_ms // 1000,
        "iat": row.created // 1000,
        "sub": f"token {row.id}" if row.user_id is None else str(row.user_id),
        "client_id": str(row.id),
        "aud": call.application.token,
    }
    return state


async def _revoke(call: CallView) -> Reply:
    """Revoke a token. An unknown one is no error (RFC 7009 2.2), nor one that has ended already."""
    token = await _token(call)
    if token is None:
        return _refused("invalid_request")
    tokens = ApiTokens(call.application)
    found = await tokens.find(token) if is_token(token) else None
    if found is not None:
        await tokens.revoke(found[0].id)
    return Reply(b"", headers=NO_STORE)


async def _token(call: CallView) -> str | None:
    """The parameter ``token`` of the form; None when there is not exactly one."""
    sent = call.headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
    if sent != FORM:
        return None
    body = b"".join([part async for part in call.stream(BODY_MAX)])
    try:
        values = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=20).get("token", [])
    except ValueError:
        return None
    return values[0] if len(values) == 1 and values[0] else None


def _refused(error: str) -> Reply:
    described = f"send {FORM} with one parameter token"
    return Reply(encode_json({"error": error, "error_description": described}), 400, NO_STORE)
