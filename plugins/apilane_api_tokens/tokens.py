"""One API token as it is stored and shown: ``TokenRow``, and the texts of its limits."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from msgspec import Struct

from apilane.plugin import decode_json

__all__ = ["DAY_MS", "Limit", "Status", "TokenRow", "names_in", "read_limit"]

DAY_MS: Final = 86_400_000
WINDOWS_MS: Final = {"second": 1000, "minute": 60_000, "hour": 3_600_000}
Status = Literal["active", "suspended", "revoked", "expired"]
_limit = re.compile(r"([1-9][0-9]{0,8})/(second|minute|hour)").fullmatch


class Limit(NamedTuple):
    """At most ``uses`` within any ``window_ms``."""

    uses: int
    window_ms: int


def read_limit(text: str) -> Limit | None:
    """``100/minute`` as a limit; None for a text of another form. Units are second, minute and hour."""
    found = _limit(text.strip().lower())
    return Limit(int(found[1]), WINDOWS_MS[found[2]]) if found else None


def names_in(text: str | None) -> list[str]:
    """A stored JSON list of texts; None is an empty one."""
    found = decode_json(text.encode()) if text else []
    return [str(each) for each in found] if isinstance(found, list) else []


class TokenRow(Struct, frozen=True):
    """A token without its secret. Times are unix milliseconds; lists are stored as JSON."""

    id: int
    kind: str
    name: str
    description: str | None
    user_id: int | None
    roles: str | None
    """Of the application's own token; a token of a user has the roles of the user."""
    tenant: int | None
    tenant_entity: str | None
    """The differentiation entity of ``tenant``."""
    scopes: str
    networks: str | None
    rate_limit: str | None
    day_quota: int | None
    month_quota: int | None
    shown: str
    """The beginning of the secret."""
    old_until: int | None
    created: int
    created_by: str
    expires: int
    suspended: int | None
    revoked: int | None
    last_used: int | None
    last_address: str | None

    def status(self, now_ms: int) -> Status:
        """What a use of the token meets now."""
        if self.revoked is not None:
            return "revoked"
        if now_ms >= self.expires:
            return "expired"
        return "active" if self.suspended is None else "suspended"
