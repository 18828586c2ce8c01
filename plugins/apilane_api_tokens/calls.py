"""The ApiTokens calls: users manage tokens of their own, where ``Plugins.api_tokens.SelfService`` is set.

Programs cannot make them, so a token never changes itself or another one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from time import time_ns
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from apilane.plugin import Account, ApilaneError, CallView, Code, Reply, WireCall, encode_json, unauthorized
from apilane_api_tokens.descriptions import described
from apilane_api_tokens.options import ApiTokenSection
from apilane_api_tokens.service import ApiTokens, Changes, Draft, Issued
from apilane_api_tokens.tokens import DAY_MS, TokenRow, names_in

__all__ = ["self_service_calls", "wire_token"]

NO_STORE: Final = ((b"cache-control", b"no-store"),)
CLOSED: Final = "Not found: users of this application have no API tokens of their own"
LOG_ROWS: Final = 100
USAGE_DAYS: Final = 30
T = TypeVar("T", bound=Struct)
Texts = Sequence[str]
Days = Annotated[float, Meta(gt=0)]


class _New(Struct, rename="pascal", kw_only=True, forbid_unknown_fields=True):
    name: str
    scopes: Texts
    description: str | None = None
    expires_days: Days | None = None
    networks: Texts = ()
    rate_limit: str | None = None
    day_quota: int | None = None
    month_quota: int | None = None


class _Changed(Struct, rename="pascal", kw_only=True, forbid_unknown_fields=True):
    name: str | UnsetType = UNSET
    scopes: Texts | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    expires_days: Days | UnsetType = UNSET
    networks: Texts | UnsetType = UNSET
    rate_limit: str | UnsetType | None = UNSET
    day_quota: int | UnsetType | None = UNSET
    month_quota: int | UnsetType | None = UNSET


class _Rotation(Struct, rename="pascal", kw_only=True, forbid_unknown_fields=True):
    overlap_seconds: float = 0
    expires_days: Days | None = None


def wire_token(row: TokenRow) -> dict[str, Any]:
    """A token as clients read it. Dates are unix milliseconds."""
    return {
        "ID": row.id,
        "Name": row.name,
        "Description": row.description,
        "Shown": row.shown,
        "Status": row.status(time_ns() // 1_000_000),
        "Scopes": names_in(row.scopes),
        "Networks": names_in(row.networks),
        "RateLimit": row.rate_limit,
        "DayQuota": row.day_quota,
        "MonthQuota": row.month_quota,
        "Created": row.created,
        "Expires": row.expires,
        "LastUsed": row.last_used,
        "LastAddress": row.last_address,
    }


def self_service_calls() -> list[WireCall]:
    """The calls below ``/api/ApiTokens/``."""

    async def every(call: CallView) -> Reply:
        tokens, user_id = _tokens(call)
        return Reply(encode_json([wire_token(row) for row in await tokens.every(user_id=user_id)]))

    async def create(call: CallView) -> Reply:
        tokens, user_id = _tokens(call)
        new = await _body(call, _New)
        await tokens.check_room(user_id)
        draft = Draft(user_id=user_id, **msgspec.structs.asdict(new))
        return _issued(await tokens.create(draft, f"user {user_id}"))

    async def update(call: CallView) -> Reply:
        tokens, user_id = _tokens(call)
        changes = Changes(**msgspec.structs.asdict(await _body(call, _Changed)))
        return _row(await tokens.change(_id(call), changes, user_id=user_id))

    async def rotate(call: CallView) -> Reply:
        tokens, user_id = _tokens(call)
        asked = await _body(call, _Rotation) if await call.body() else _Rotation()
        overlap_s, days = asked.overlap_seconds, asked.expires_days
        return _issued(await tokens.rotate(_id(call), overlap_s=overlap_s, expires_days=days, user_id=user_id))

    async def usage(call: CallView) -> Reply:
        tokens, user_id = _tokens(call)
        counts = await tokens.usage(_id(call), days=USAGE_DAYS, user_id=user_id)
        log = await tokens.log(_id(call), limit=LOG_ROWS, user_id=user_id)
        days = [{"Day": c.day * DAY_MS, "Call": c.call, "Uses": c.uses, "Failed": c.failed} for c in counts]
        keys = "Time", "Address", "Call", "Status", "Uses"
        return Reply(encode_json({"Days": days, "Log": [dict(zip(keys, each, strict=True)) for each in log]}))

    def acting(act: Callable[[ApiTokens, int, int], Awaitable[TokenRow]]) -> Callable[[CallView], Awaitable[Reply]]:
        async def action(call: CallView) -> Reply:
            tokens, user_id = _tokens(call)
            return _row(await act(tokens, _id(call), user_id))

        return action

    states = {
        "Suspend": acting(lambda tokens, token_id, user_id: tokens.suspend(token_id, user_id=user_id)),
        "Resume": acting(lambda tokens, token_id, user_id: tokens.resume(token_id, user_id=user_id)),
        "Revoke": acting(lambda tokens, token_id, user_id: tokens.revoke(token_id, user_id=user_id)),
    }
    user, path = Account(user=True), "/api/ApiTokens"
    # Operators cannot make these calls, so none is audited.
    return [
        WireCall(path=f"{path}/Get", method="GET", action=every, access=user, description=described("Get")),
        WireCall(path=f"{path}/Usage", method="GET", action=usage, access=user, description=described("Usage")),
        WireCall(
            path=f"{path}/Create",
            method="POST",
            action=create,
            access=user,
            body="json",
            audited=False,
            description=described("Create", _New),
        ),
        WireCall(
            path=f"{path}/Update",
            method="PUT",
            action=update,
            access=user,
            body="json",
            audited=False,
            description=described("Update", _Changed),
        ),
        WireCall(
            path=f"{path}/Rotate",
            method="POST",
            action=rotate,
            access=user,
            body="json",
            audited=False,
            description=described("Rotate", _Rotation),
        ),
        *(
            WireCall(
                path=f"{path}/{name}",
                method="POST",
                action=action,
                access=user,
                audited=False,
                description=described(name),
            )
            for name, action in states.items()
        ),
    ]


def _tokens(call: CallView) -> tuple[ApiTokens, int]:
    """The tokens of the application and the ID of the user. Raises NOT_FOUND where there is no self-service."""
    user_id = call.actor.user_id
    if user_id is None:
        raise unauthorized()
    if not call.application.options(ApiTokenSection).self_service:
        raise ApilaneError(Code.NOT_FOUND, CLOSED, status=404)
    return ApiTokens(call.application), user_id


def _id(call: CallView) -> int:
    text = call.query.get("id", "")
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise ApilaneError(Code.VALIDATION, "Validation error: the parameter id is no number", property="ID")
    return int(text)


async def _body(call: CallView, kind: type[T]) -> T:
    """The body as a Struct. The text of msgspec names the member and the expected type, and no value."""
    try:
        return msgspec.convert(await call.json(), kind)
    except msgspec.ValidationError as error:
        raise ApilaneError(Code.VALIDATION, f"Validation error: {error}") from None


def _issued(issued: Issued) -> Reply:
    return Reply(encode_json({"Token": issued.secret, **wire_token(issued.row)}), headers=NO_STORE)


def _row(row: TokenRow) -> Reply:
    return Reply(encode_json(wire_token(row)))
