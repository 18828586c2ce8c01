"""The bytes of a generated call, with the tokens of its caller."""

from __future__ import annotations

import time
from typing import NamedTuple
from urllib.parse import quote, quote_from_bytes, quote_plus

from apilane.security.signatures import canonical_text, sign
from tests.fuzz.headers import MARK
from tests.fuzz.requests import Call
from tests.fuzz.world import A, B

__all__ = ["Rendered", "rendered"]

SAFE = "/:;,~!$()*'-._@ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class Rendered(NamedTuple):
    """A call as bytes. ``certain``: it carries the caller's credential in valid form, and no other."""

    method: str
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: tuple[bytes, ...]
    certain: bool


def _escaped(text: str, style: str) -> str:
    raw = text.encode("utf-8", "surrogatepass")
    match style:
        case "plus":
            return quote_plus(raw)
        case "everything":
            return "".join(f"%{byte:02x}" for byte in raw)
        case "raw":
            return quote(raw, safe=SAFE + '?/{}[]"<>|^`\\=')
        case "twice":
            return quote(quote(raw))
        case "broken":
            return quote(raw) + "%" + "%zz%e"
    return quote(raw)


def rendered(call: Call, credentials: dict[str, tuple[str, int]]) -> Rendered:
    """The bytes of a call, with the tokens of ``credentials``."""
    query = list(call.query)
    headers: list[tuple[str, str]] = []
    token, key = credentials.get(call.caller, ("", 0))
    if call.credential == "query":
        query.append(("authorization", token))
    name, value = _application(call.application)
    if value:
        if name == "appToken":
            query.append((name, value))
        else:
            headers.append((name, value))
    if call.application == "both":
        query.append(("appToken", B))
    path = quote_from_bytes(call.path.encode(), safe=SAFE + "%")
    text = "&".join(f"{_escaped(name, call.style)}={_escaped(value, call.style)}" for name, value in query)
    target = (f"{path}?{text}" if text else path).encode()
    body = call.body
    if call.content_type is not None:
        headers.append(("content-type", call.content_type))
    if body is not None:
        headers.append(("content-length", str(len(body))))
    if token:
        headers += _credential(call, token, key, target, body or b"")
    headers += call.headers
    names = [name for name, _ in headers]
    certain = (
        call.credential == "bearer"
        and not call.headers
        and names.count("authorization") == 1
        and call.caller not in ("unknown", "foreign", "outsider")
    )
    step = max(1, -(-len(body) // call.parts)) if body else 1
    parts = tuple(body[start : start + step] for start in range(0, len(body), step)) if body else ()
    lines = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers]
    return Rendered(call.method, target, lines, parts, certain)


def _application(form: str) -> tuple[str, str]:
    header = "x-application-token"
    return {
        "query": ("appToken", A),
        "other": (header, B),
        "other query": ("appToken", B),
        "braces": (header, f"{{{A.upper()}}}"),
        "hex": (header, A.replace("-", "")),
        "none": (header, ""),
        "garbage": (header, f"{MARK}' --"),
    }.get(form, (header, A))


def _credential(call: Call, token: str, key: int, target: bytes, body: bytes) -> list[tuple[str, str]]:
    portal = [("x-client-id", "portal")] if call.caller in ("owner", "outsider") else []
    if call.credential.startswith("signed"):
        now = int(time.time() * 1000) - (130_000 if call.credential == "signed late" else 0)
        secret = MARK if call.credential == "signed wrong" else token
        signature = sign(secret, canonical_text(key, call.method, target, now, body)).decode()
        signed = [("x-auth-keyid", str(key)), ("x-auth-timestamp", str(now)), ("x-auth-signature", signature)]
        if call.credential == "signed in part":
            signed.pop(0)
        elif call.credential == "signed by text":
            signed[0] = ("x-auth-keyid", f"{MARK}' --")
        return signed
    text = {
        "lower": f"bearer {token}",
        "quoted": f'Bearer "{token}"',
        "upper": f"Bearer {token.upper()}",
        "hex": f"Bearer {token.replace('-', '')}",
        "braces": f"Bearer {{{token}}}",
        "no scheme": token,
        "twice": f"Bearer {token} {token}",
        "cut off": f"Bearer {token[:-1]}",
        "garbage": f"Bearer {MARK}%' --",
    }.get(call.credential, f"Bearer {token}")
    return [] if call.credential in ("absent", "query") else [("authorization", text), *portal]
