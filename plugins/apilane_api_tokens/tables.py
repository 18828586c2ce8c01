"""The tables of API tokens in the database of each application."""

from __future__ import annotations

from typing import Final

from apilane.plugin import ForeignKey, HelperTable, Index, PropertyType, Unique, column
from apilane.plugin.storage import OnDelete

__all__ = ["CALLS", "DAYS", "TOKENS"]

NUMBER, DATE = PropertyType.Number, PropertyType.Date
_OF_TOKEN: Final = ForeignKey(property="Token", entity="H_ApiTokens", on_delete=OnDelete.Cascade)

TOKENS: Final = HelperTable(
    name="H_ApiTokens",
    version=1,
    columns=(
        column("Kind", maximum=3),
        column("Name", maximum=100),
        column("Description", maximum=500, required=False),
        column("UserID", NUMBER, required=False),
        column("Roles", maximum=1000, required=False),
        column("Tenant", NUMBER, required=False),
        column("TenantEntity", maximum=100, required=False),
        column("Scopes"),
        column("Networks", required=False),
        column("RateLimit", maximum=40, required=False),
        column("DayQuota", NUMBER, required=False),
        column("MonthQuota", NUMBER, required=False),
        column("Hash", maximum=64),
        column("Shown", maximum=20),
        column("OldHash", maximum=64, required=False),
        column("OldUntil", DATE, required=False),
        column("Created", DATE),
        column("CreatedBy", maximum=100),
        column("Expires", DATE),
        column("Suspended", DATE, required=False),
        column("Revoked", DATE, required=False),
        column("LastUsed", DATE, required=False),
        column("LastAddress", maximum=50, required=False),
    ),
    constraints=(ForeignKey(property="UserID", entity="Users", on_delete=OnDelete.Cascade),),
    indexes=(Index(("Hash",)), Index(("OldHash",))),
)
"""``Hash``: keyed hash of the secret. ``OldHash``: of the one before a rotation, valid until ``OldUntil``."""

DAYS: Final = HelperTable(
    name="H_ApiTokenDays",
    version=1,
    columns=(
        column("Token", NUMBER),
        column("Day", NUMBER),
        column("Call", maximum=150),
        column("Uses", NUMBER),
        column("Failed", NUMBER),
    ),
    constraints=(_OF_TOKEN, Unique(properties=("Token", "Day", "Call"))),
)
"""Counts per day and call. ``Day``: days since 1970-01-01 in UTC. ``Failed``: uses with a status of 400 or more."""

CALLS: Final = HelperTable(
    name="H_ApiTokenCalls",
    version=1,
    columns=(
        column("Token", NUMBER),
        column("Time", DATE),
        column("Address", maximum=50),
        column("Call", maximum=150),
        column("Status", NUMBER),
        column("Uses", NUMBER),
    ),
    constraints=(_OF_TOKEN,),
    indexes=(Index(("Token", "Time")), Index(("Time",))),
)
"""The log. Equal uses of one process within ``flush_s`` are one row, with their number."""
