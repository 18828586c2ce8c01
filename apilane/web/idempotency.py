"""``Idempotency-Key`` of Post and of the transaction calls (docs/reference/protocol/wire-api.md section 4.8)."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

from apilane.errors import ApilaneError, Code
from apilane.plugin.calls import Write
from apilane.plugin.replies import Reply
from apilane.services.idempotency import IdempotentRequest
from apilane.services.unit_writes import UnitWrite
from apilane.web.call import Call

__all__ = ["IDEMPOTENCY_KEY", "once"]

IDEMPOTENCY_KEY: Final = b"idempotency-key"
KEY_MAX: Final = 255
AUTHORIZATION: Final = b"authorization"
NO_CALLER: Final = "Something went wrong: an Idempotency-Key needs a signed-in caller"
EXPIRED: Final = f"{NO_CALLER}, and the token of this request is unknown or has expired; sign in again"
REPLAYED: Final = (b"idempotency-replayed", b"true")


async def once(call: Call, write: UnitWrite[Any], key: bytes) -> Write[Any]:
    """The write, carried out once for all requests with the same key.

    A repeated request gets the first answer, with the header ``Idempotency-Replayed: true``. Raises ERROR for a key
    that is too long, was used for another request, or comes from an anonymous caller.
    """
    request = IdempotentRequest(call.application, _name(call, key), await _digest(call))
    known = await request.answer()
    if known is not None:
        replayed = Write.nothing(known)
        replayed.reply = _replayed
        return replayed

    def encode(result: object) -> bytes:
        body = write.reply(result).body
        assert isinstance(body, bytes)  # noqa: S101 - the calls with a key answer in JSON
        return body

    return Write(
        run=lambda: request.run(write, encode),
        what=write.what,
        outcome=lambda done: "done by another request" if done.result is None else write.outcome(done.result),
        reply=lambda done: _replayed(done.answer) if done.result is None else Reply(done.answer),
    )


def _replayed(answer: bytes) -> Reply:
    return Reply(answer, headers=(REPLAYED,))


def _name(call: Call, key: bytes) -> str:
    """The hash of caller, call and key."""
    actor = call.actor
    if actor.kind == "anonymous":
        raise ApilaneError(Code.ERROR, EXPIRED if AUTHORIZATION in call.headers else NO_CALLER)
    if not key or len(key) > KEY_MAX or not all(0x21 <= byte <= 0x7E for byte in key):
        text = f"Something went wrong: an Idempotency-Key has 1 to {KEY_MAX} visible ASCII characters"
        raise ApilaneError(Code.ERROR, text)
    caller = f"{actor.kind} {actor.user_id} {actor.credential if actor.kind != 'user' else ''}"
    return sha256(b"\n".join((caller.encode(), call.last_part.lower().encode(), key))).hexdigest()


async def _digest(call: Call) -> str:
    """The hash of everything that a request says about its change."""
    entity = call.query.get("entity", "").lower().encode()
    return sha256(entity + b"\n" + await call.body()).hexdigest()
