"""Refuses request heads that two programs can read differently: repeated headers, no Host, an encoded slash.

A proxy and this server, or a signature and the check of it, must see the same request. RFC 9112 (3.2) demands 400 for
two Host headers or none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from apilane.errors import ApilaneError, Code
from apilane.web.call import Scope

__all__ = ["ambiguity"]

SINGLE = frozenset({b"host", b"authorization", b"content-type", b"idempotency-key"})
"""Headers that the server reads and that have one value. Those with a prefix of ``SINGLE_PREFIXES`` are meant too."""
SINGLE_PREFIXES = (b"x-application-token", b"x-client-id", b"x-auth-")

_has_encoded_slash = re.compile(rb"%(2[fF]|5[cC])").search


def ambiguity(scope: Scope, headers: Mapping[bytes, bytes], *, is_known: bool) -> ApilaneError | None:
    """The refusal of an ambiguous head; None: it is clear. ``is_known``: the decoded path is in a table of paths.

    An encoded slash or backslash is part of a name and separates nothing (RFC 3986, 2.2), so no known path has one.
    """
    if len(headers) != len(scope["headers"]):
        seen: set[bytes] = set()
        for name, _ in scope["headers"]:
            if name in seen and (name in SINGLE or name.startswith(SINGLE_PREFIXES)):
                what = f"The header {name.decode('latin-1')} is sent more than once; send it once"
                return ApilaneError(Code.ERROR, what, status=400)
            seen.add(name)
    if not headers.get(b"host") and scope["http_version"] == "1.1":  # granian adds an empty one
        return ApilaneError(Code.ERROR, "The header Host is missing", status=400)
    if is_known and _has_encoded_slash(scope.get("raw_path") or b""):
        return ApilaneError(Code.NOT_FOUND, status=404)
    return None
