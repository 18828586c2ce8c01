"""Rate limits of access rules (``docs/reference/protocol/security.md`` section 4), and the throttle against password
guessing (B-A2).

Both use the counters that all workers of the machine share. Without this plugin a manifest with a ``RateLimit`` is
refused, an application that has one answers SERVICE_UNAVAILABLE, and sign-ins are not throttled.
"""

from __future__ import annotations

from apilane.plugin import Counters, PluginSettings, hookimpl
from apilane_rate_limit.limiter import RateLimiter
from apilane_rate_limit.throttle import SignInLimits, SignInThrottle

__all__ = ["apilane_register_limiters", "apilane_register_settings", "apilane_register_throttles"]


@hookimpl
def apilane_register_settings() -> list[PluginSettings]:
    """The limits of failed sign-ins and registrations."""
    return [PluginSettings(instance=SignInLimits)]


@hookimpl
def apilane_register_limiters(counters: Counters) -> list[RateLimiter]:
    """The limiter of the rules' ``RateLimit``."""
    return [RateLimiter(counters)]


@hookimpl
def apilane_register_throttles(counters: Counters, options: SignInLimits) -> list[SignInThrottle]:
    """The throttle of Login and Register."""
    return [SignInThrottle(counters, options)]
