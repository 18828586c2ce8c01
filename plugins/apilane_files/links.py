"""Links to one file that work without a token of a user, until they expire.

A link contains the UID, the time of its end and an HMAC of both under a key of the application. It is not stored, so
it cannot be taken back; deleting the file ends it.
"""

from __future__ import annotations

import hmac
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping

from apilane.plugin import ApilaneError, ApplicationView, unauthorized

__all__ = ["link_target", "linked_file"]

PATH = "/api/Files/Linked"
SECONDS_DIGITS_MAX = 12
REFUSED = "The link is not valid or has expired; ask for a new one"


def link_target(application: ApplicationView, uid: str, expires_s: int) -> str:
    """Path and query of a link to a file. ``expires_s``: unix seconds."""
    signature = _signature(application, uid, str(expires_s))
    return f"{PATH}?appToken={application.token}&fileUID={uid}&expires={expires_s}&signature={signature}"


def linked_file(application: ApplicationView, query: Mapping[str, str]) -> tuple[str, int]:
    """The UID of a link, and the seconds that the link is still valid. Raises UNAUTHORIZED for a link that is not."""
    uid, expires = query.get("fileuid", ""), query.get("expires", "")
    signature = query.get("signature", "").encode()
    if not hmac.compare_digest(signature, _signature(application, uid, expires).encode()):
        raise _refused()
    left_s = int(expires) - int(time.time()) if len(expires) <= SECONDS_DIGITS_MAX else 0
    if left_s <= 0:
        raise _refused()
    return uid, left_s


def _signature(application: ApplicationView, uid: str, expires: str) -> str:
    text = f"{uid}\n{expires}".encode()
    digest = hmac.digest(application.key("files: links"), text, "sha256")
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def _refused() -> ApilaneError:
    error = unauthorized("Files")
    error.message = REFUSED
    return error
