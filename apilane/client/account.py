"""Calls on the caller's own account, and the mails about it
(``docs/reference/protocol/wire-api.md`` sections 3 and 6).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import httpx

from apilane.client.call import Call, Credentials, Record, read_json

__all__ = [
    "Login",
    "UserData",
    "answer_step",
    "change_password",
    "confirm",
    "forgot_password",
    "login",
    "logout",
    "register",
    "renew",
    "request_confirmation",
    "update_user",
    "user_data",
]

read_integer = read_json(int)
read_record = read_json(dict)
TOKEN_ID_HEADER = "x-auth-token-id"  # noqa: S105 -- the name of a header


class Login(NamedTuple):
    """The signed-in user and the new credentials. ``LastLogin`` is the time of the sign-in before this one."""

    user: Record
    credentials: Credentials


class UserData(NamedTuple):
    """The caller, and the caller's rules: ``Role``, ``Name``, ``Type``, ``Action``, ``Properties`` of each."""

    user: Record
    security: list[dict[str, Any]]


def register(user: Mapping[str, Any]) -> Call[int]:
    """Create an account with ``Email``, ``Username``, ``Password`` and other properties; returns the user ID."""
    return Call("POST", "/api/Account/Register", read_integer, body=dict(user))


def login(*, email: str | None = None, username: str | None = None, password: str) -> Call[Login]:
    """Sign in by e-mail or user name. The client then calls as that user. Raises ApilaneError for wrong credentials."""
    body = {"Email": email, "Username": username, "Password": password}
    return Call("POST", "/api/Account/Login", _read_login, body=body, becomes=lambda login: login.credentials)


def answer_step(challenge: str, answer: Any) -> Call[Login]:
    """Answer the step of ``SignInStepRequired``. Raises it again for a further step, else works as ``login``."""
    body = {"Challenge": challenge, "Answer": answer}
    return Call("POST", "/api/Account/SignInStep", _read_login, body=body, becomes=lambda login: login.credentials)


def _read_login(response: httpx.Response) -> Login:
    answer = read_record(response)
    return Login(answer["User"], Credentials(answer["AuthToken"], answer["AuthTokenID"]))


def user_data() -> Call[UserData]:
    """The signed-in user and the user's rules."""
    return Call("GET", "/api/Account/UserData", _read_user_data, repeatable=True)


def _read_user_data(response: httpx.Response) -> UserData:
    answer = read_record(response)
    return UserData(answer["User"], answer["Security"])


def update_user(values: Mapping[str, Any]) -> Call[Record]:
    """Change properties of the signed-in user; returns the changed user."""
    return Call("PUT", "/api/Account/Update", read_record, body=dict(values))


def change_password(current: str, new: str) -> Call[bool]:
    """Set a new password. The user's other tokens end, the client's token stays valid."""
    body = {"Password": current, "NewPassword": new}
    return Call("PUT", "/api/Account/ChangePassword", read_json(bool), body=body)


def renew() -> Call[Credentials]:
    """Replace the client's token by a new one; the old one ends."""
    return Call("GET", "/api/Account/RenewAuthToken", _read_renewed, becomes=lambda renewed: renewed)


def _read_renewed(response: httpx.Response) -> Credentials:
    token_id = response.headers.get(TOKEN_ID_HEADER)
    return Credentials(read_json(str)(response), None if token_id is None else int(token_id))


def logout(*, everywhere: bool = False) -> Call[int]:
    """End the client's token, or all of the user's; returns how many ended. The client is anonymous afterwards."""
    query = {"everywhere": True} if everywhere else {}
    return Call("GET", "/api/Account/Logout", read_integer, query, becomes=lambda _: None)


def confirm(token: str) -> Call[str]:
    """Confirm an e-mail address by the token of the mail; returns the URL of the page to show, without loading it."""
    return Call("GET", "/api/Account/Confirm", _read_location, {"token": token}, status=302)


def _read_location(response: httpx.Response) -> str:
    location: str = response.headers["location"]
    return location


def request_confirmation(email: str) -> Call[str]:
    """Mail the confirmation link again; returns ``"OK"`` for known and unknown addresses."""
    return Call("GET", "/api/Email/RequestConfirmation", read_json(str), {"Email": email})


def forgot_password(email: str) -> Call[str]:
    """Mail a link to set a new password; returns ``"OK"`` for known and unknown addresses."""
    return Call("GET", "/api/Email/ForgotPassword", read_json(str), {"Email": email})
