"""The settings of API tokens, for the server and for each application."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

__all__ = ["ApiTokenSection", "ApiTokenSettings"]

DAYS_MAX = 3650


class ApiTokenSettings(Struct, frozen=True, kw_only=True):
    """The settings of the server."""

    flush_s: Annotated[
        float,
        Meta(gt=0, le=60, description="Seconds after which a process stores the uses of tokens that it has counted."),
    ] = 1.0
    clean_up_every_s: Annotated[
        float, Meta(gt=0, description="Seconds between two deletions of old uses and ended tokens.")
    ] = 3600.0


class ApiTokenSection(Struct, frozen=True, kw_only=True, rename="pascal"):
    """``Plugins.api_tokens`` of a manifest."""

    self_service: Annotated[
        bool, Meta(description="Whether users create and manage tokens of their own, with the ApiTokens calls.")
    ] = False
    tokens_per_user: Annotated[
        int, Meta(ge=1, le=1000, description="Tokens, without ended ones, that a user may create.")
    ] = 20
    maximum_days: Annotated[
        int, Meta(ge=1, le=DAYS_MAX, description="Longest time from now to the expiry of a token, in days.")
    ] = 365
    log_days: Annotated[
        int, Meta(ge=1, le=DAYS_MAX, description="Days that each use is kept, and a token after its end.")
    ] = 30
    count_days: Annotated[int, Meta(ge=31, le=DAYS_MAX, description="Days that the counts per day are kept.")] = 400
