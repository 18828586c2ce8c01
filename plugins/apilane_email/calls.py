"""The Email calls (docs/reference/protocol/wire-api.md section 6)."""

from __future__ import annotations

from apilane.plugin import Account, CallView, MailKind, Reply, WireCall
from apilane_email.posting import CONFIRMATION, RESET, Posting

__all__ = ["mail_calls"]


def mail_calls(posting: Posting) -> list[WireCall]:
    """Requests for both mails. The answer is the same whether the address has an account or not."""

    def asking_for(event: MailKind, path: str) -> WireCall:
        async def ask(call: CallView) -> Reply:
            await posting.request(call.application, event, call.query.get("email", ""), call.client_address)
            return Reply(b'"OK"', headers=((b"cache-control", b"no-store"),))

        return WireCall(path=path, method="GET", action=ask, access=Account())

    return [asking_for(CONFIRMATION, "/api/Email/RequestConfirmation"), asking_for(RESET, "/api/Email/ForgotPassword")]
