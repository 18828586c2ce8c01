"""Checks of the values of a token, before they are stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from apilane.plugin import (
    ApilaneError,
    ApplicationDefinition,
    ApplicationView,
    Code,
    is_storable_text,
    json_text,
    parse_range,
    read_scopes,
)
from apilane_api_tokens.authenticator import INTROSPECT
from apilane_api_tokens.options import ApiTokenSection
from apilane_api_tokens.tokens import DAY_MS, read_limit

__all__ = ["Checks"]

NAMES_MAX: Final = 200
"""Scopes, networks or roles of one token."""
DAYS: Final = 90
"""The default time to the expiry."""
QUOTA_MAX: Final = 10**12
_RESERVED: Final = frozenset({"ANONYMOUS", "AUTHENTICATED"})


class Checks:
    """Each method returns a value in its stored form, or raises VALIDATION."""

    def __init__(self, application: ApplicationView) -> None:
        self._application = application

    def name(self, text: str) -> str:
        """A name for people."""
        found = text.strip()
        if not 1 <= len(found) <= 100 or not found.isprintable() or not is_storable_text(found):
            raise _wrong("Name", "expected a text of 1 to 100 printable characters")
        return found

    def description(self, text: str | None) -> str | None:
        """A longer text for people, or none."""
        if text is not None and (len(text) > 500 or not is_storable_text(text)):
            raise _wrong("Description", "expected a text of at most 500 characters")
        return text or None

    def scopes(self, texts: Sequence[str], *, is_of_user: bool) -> str:
        """Scopes that name existing entities, properties and endpoints."""
        names = _texts("Scopes", texts)
        if not names:
            raise _wrong("Scopes", "a token needs at least one scope, such as Orders:get or read")
        found = set()
        for name in names:
            if name.lower() == INTROSPECT:
                if is_of_user:
                    raise _wrong("Scopes", f"only tokens of the application have the scope {INTROSPECT}")
                found.add(INTROSPECT)
                continue
            try:
                canonical = read_scopes([name])
            except ValueError as error:
                raise _wrong("Scopes", str(error)) from None
            for each in canonical:
                if problem := _unknown(each, self._application.definition):
                    raise _wrong("Scopes", f"{name[:100]!r}: {problem}")
            found.add(name)
        return json_text(sorted(found))

    def roles(self, texts: Sequence[str]) -> str | None:
        """Roles of the application's own token."""
        names = _texts("Roles", texts)
        wrong = next((name for name in names if name in _RESERVED or "," in name), None)
        if wrong is not None:
            raise _wrong("Roles", f"{wrong[:100]!r} is no role of an application")
        text = json_text(sorted(set(names))) if names else None
        if text is not None and len(text) > 1000:
            raise _wrong("Roles", "they take more than 1000 characters")
        return text

    async def tenant(self, tenant: int) -> None:
        """A record of the differentiation entity."""
        entity = self._application.definition.differentiation_entity
        if entity is None:
            raise _wrong("Tenant", "the application has no tenants")
        try:
            await self._application.data.as_system().get(entity, tenant, properties=["ID"])
        except ApilaneError as error:
            if error.code is not Code.NOT_FOUND:
                raise
            raise _wrong("Tenant", f"there is no record {tenant} of {entity}") from None

    def networks(self, texts: Sequence[str]) -> str | None:
        """Addresses and ranges."""
        names = _texts("Networks", texts)
        wrong = next((name for name in names if parse_range(name) is None), None)
        if wrong is not None:
            raise _wrong("Networks", f"{wrong[:100]!r} is no address or range, such as 203.0.113.0/24 or 2001:db8::/32")
        return json_text([str(parse_range(name)) for name in names]) if names else None

    def rate_limit(self, text: str | None) -> str | None:
        """A number of uses within a time."""
        if not text:
            return None
        if read_limit(text) is None:
            raise _wrong("RateLimit", f"{text[:40]!r} is no limit; expected one such as 100/minute")
        return text.strip().lower()

    def quota(self, name: str, uses: int | None) -> int | None:
        """A number of uses per day or month."""
        if uses is not None and not 1 <= uses <= QUOTA_MAX:
            raise _wrong(name, f"{uses}; expected 1 to {QUOTA_MAX}")
        return uses

    def expiry(self, days: float | None, now_ms: int) -> int:
        """The time of the expiry, in unix milliseconds; ``days`` None: the default."""
        most = self._application.options(ApiTokenSection).maximum_days
        if days is None:
            days = min(DAYS, most)
        if not 0 < days <= most:
            raise _wrong("ExpiresDays", f"{days:g} days; expected more than 0 and at most {most} (MaximumDays)")
        return now_ms + max(1, int(days * DAY_MS))


def _wrong(property: str, what: str) -> ApilaneError:
    return ApilaneError(Code.VALIDATION, f"Validation error: {what}", property=property)


def _texts(property: str, texts: Sequence[str]) -> list[str]:
    names = [name.strip() for name in texts]
    if len(names) > NAMES_MAX or any(not name or len(name) > 1000 or not is_storable_text(name) for name in names):
        raise _wrong(property, f"expected at most {NAMES_MAX} texts of 1 to 1000 characters")
    return names


def _unknown(scope: str, definition: ApplicationDefinition) -> str | None:
    """The name of a canonical scope that the application does not have, as the end of a sentence."""
    subject, _, rest = scope.partition(":")
    if not rest:
        name = scope.removeprefix("custom/")
        known = {endpoint.name.lower() for endpoint in definition.custom_endpoints}
        return None if scope == "schema" or name == "*" or name in known else f"there is no endpoint {name!r}"
    if subject in {"*", "files"}:  # files: the shorthand is also for applications whose plugin is loaded later
        return None
    entity = definition.entity(subject)
    if entity is None:
        return f"there is no entity {subject!r}"
    listed = rest.partition("(")[2].rstrip(")")
    unknown = next((name for name in listed.split(",") if name and entity.property(name) is None), None)
    return None if unknown is None else f"{entity.name} has no property {unknown!r}"
