"""The Email calls (docs/reference/protocol/wire-api.md section 6)."""

from __future__ import annotations

from apilane.plugin import Account, CallDescription, CallView, Code, MailKind, Parameter, Reply, WireCall
from apilane_email.posting import CONFIRMATION, RESET, Posting

__all__ = ["mail_calls"]


def mail_calls(posting: Posting) -> list[WireCall]:
    """Requests for both mails. The answer is the same whether the address has an account or not."""

    def asking_for(event: MailKind, path: str, summary: str) -> WireCall:
        async def ask(call: CallView) -> Reply:
            await posting.request(call.application, event, call.query.get("email", ""), call.client_address)
            return Reply(b'"OK"', headers=((b"cache-control", b"no-store"),))

        description = CallDescription(
            summary=summary,
            text="The answer is the same for an unknown address. Requests are limited.",
            parameters=(Parameter(name="email", text="The address of the account.", required=True),),
            answer={"type": "string", "const": "OK"},
            codes=(Code.RATE_LIMIT_EXCEEDED,),
        )
        return WireCall(path=path, method="GET", action=ask, access=Account(), description=description)

    return [
        asking_for(CONFIRMATION, "/api/Email/RequestConfirmation", "Ask for the mail that confirms an address"),
        asking_for(RESET, "/api/Email/ForgotPassword", "Ask for the mail that resets a password"),
    ]
