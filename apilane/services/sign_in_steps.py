"""The steps between the right password and the token (docs/reference/protocol/wire-api.md section 3.1).

A challenge is a text that only the server reads: it is encrypted under a key of the application. It names the user, a
mark of the stored password, the steps done so far and the pending one.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from apilane.errors import ApilaneError, Code, PluginFault, RateLimitedError
from apilane.model.json import encode_json
from apilane.plugin.counters import Counters
from apilane.plugin.identity import ApplicationView
from apilane.plugin.sign_in import SigningIn, SignInStep
from apilane.runtime.identities import now_ms
from apilane.security.encryption import Cipher
from apilane.security.tokens import new_token

__all__ = ["OVER", "Challenge", "SignInStepRequired", "check_answer", "next_step", "open_challenge", "password_mark"]

LIFE_MS = 5 * 60_000
"""How long a challenge can be answered."""
GUESSES = 5
"""Answers to one challenge."""
USER_GUESSES, USER_WINDOW_MS = 20, 15 * 60_000
"""Wrong answers of one user from all addresses; only callers who know the password can cause them."""
STEP_S = 10.0
CHALLENGE_MAX, DATA_MAX_BYTES = 16_384, 4096
PURPOSE = "sign-in steps"
MESSAGE = "One more step is required to log in. This application needs a client that supports sign-in steps."
OVER = "The sign-in has expired or was used already. Log in again."
T = TypeVar("T")


class Challenge(Struct, frozen=True):
    """The content of a challenge. ``done``: kinds of the steps that were answered. ``asked``: data of the pending
    step.
    """

    id: str
    user_id: int
    password: str
    kind: str
    done: tuple[str, ...]
    until_ms: int
    asked: dict[str, Any]


class SignInStepRequired(ApilaneError):
    """The password was right, and a step is pending. The body has the additional key ``SignInStep``."""

    def __init__(self, step: Mapping[str, Any]) -> None:
        super().__init__(Code.ERROR, MESSAGE)
        self.step = step

    def body(self) -> bytes:
        body = {"Code": self.code.value, "Message": self.message, "Property": None, "Entity": None}
        return encode_json({**body, "SignInStep": self.step})


def password_mark(stored: object) -> str:
    """A mark that changes with the stored hash of the password."""
    return hashlib.sha256(str(stored).encode()).hexdigest()


def _cipher(application: ApplicationView) -> Cipher:
    return Cipher(application.key(PURPOSE))


async def _asked(step: SignInStep, work: Callable[[], Awaitable[T]], kind: type) -> T:
    """The answer of a step within the time limit; PluginFault, which refuses the sign-in, for any other outcome."""
    try:
        async with asyncio.timeout(STEP_S):
            answer = await work()
    except ApilaneError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginFault(step, f"the sign-in step {step.kind!r} failed") from error
    if not isinstance(answer, kind):
        found, expected = type(answer).__name__, kind.__name__
        raise PluginFault(step, f"the sign-in step {step.kind!r} returned {found!r}; expected {expected}")
    return answer


async def next_step(
    steps: tuple[SignInStep, ...], user: SigningIn, application: ApplicationView, stored: object, done: tuple[str, ...]
) -> None:
    """Raise SignInStepRequired when a step that is not done applies to the user.

    ``stored``: the stored hash of the password.
    """
    for step in steps:
        if step.kind in done or not await _asked(step, lambda step=step: step.applies(user), bool):  # type: ignore[misc]
            continue
        data = dict(await _asked(step, lambda step=step: step.challenge(user), Mapping))  # type: ignore[misc]
        mark, until_ms = password_mark(stored), now_ms() + LIFE_MS
        challenge = Challenge(new_token(), user.user_id, mark, step.kind, done, until_ms, data)
        try:
            text = msgspec.json.encode(challenge).decode()
        except (TypeError, ValueError) as error:
            raise PluginFault(step, f"the sign-in step {step.kind!r} returned data that is not JSON") from error
        if len(text) > DATA_MAX_BYTES or {"Challenge", "Kind"} & data.keys():
            raise PluginFault(
                step, f"the sign-in step {step.kind!r} returned too much data, or the keys Challenge or Kind"
            )
        raise SignInStepRequired({"Challenge": _cipher(application).encrypt(text), "Kind": step.kind, **data})


def open_challenge(application: ApplicationView, text: str) -> Challenge:
    """The content of a challenge; ERROR when this application did not make it, or when it has expired."""
    clear = _cipher(application).decrypt(text) if len(text) <= CHALLENGE_MAX else None
    if clear is None:
        raise ApilaneError(Code.ERROR, OVER)
    challenge = msgspec.json.decode(clear, type=Challenge)
    if challenge.until_ms <= now_ms():
        raise ApilaneError(Code.ERROR, OVER)
    return challenge


async def check_answer(
    steps: tuple[SignInStep, ...],
    counters: Counters,
    challenge: Challenge,
    user: SigningIn,
    answer: object,
) -> tuple[str, ...]:
    """The kinds of the steps done after a right answer. Raises ERROR for a wrong one, and RATE_LIMIT_EXCEEDED."""
    step = next((each for each in steps if each.kind == challenge.kind), None)
    if step is None:
        raise ApilaneError(Code.ERROR, OVER)
    now = now_ms()
    prefix = f"sign-in step\0{user.application.token if user.application else 'portal'}\0"
    of_user = f"{prefix}user\0{user.user_id}".encode()
    # Guesses are counted before they are checked, so parallel guesses are limited like sequential ones.
    if await counters.hit(f"{prefix}{challenge.id}".encode(), limit=GUESSES, window_ms=LIFE_MS, now_ms=now) is not None:
        raise ApilaneError(Code.ERROR, OVER)
    wait_ms = await counters.hit(of_user, limit=USER_GUESSES, window_ms=USER_WINDOW_MS, now_ms=now)
    if wait_ms is not None:
        raise RateLimitedError(wait_ms / 1000)
    if not await _asked(step, lambda: step.verify(user, answer, challenge.asked), bool):
        raise ApilaneError(Code.ERROR, "The answer is wrong")
    used = f"{prefix}used\0{challenge.id}".encode()
    if not await counters.remember(used, until_ms=challenge.until_ms, now_ms=now):
        raise ApilaneError(Code.ERROR, OVER)
    await counters.take_back(of_user, now_ms=now)
    return (*challenge.done, challenge.kind)
