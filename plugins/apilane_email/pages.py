"""The pages of accounts (docs/reference/protocol/wire-api.md section 7). They need no JavaScript."""

from __future__ import annotations

from typing import Any, Final

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined
from litestar import Request, Response, route
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from apilane.plugin import ApilaneError, CallView, Code, Open, Page, PageCall, is_email, trim
from apilane_email.forms import FIELD, FormGuard
from apilane_email.options import EmailSettings
from apilane_email.posting import RESET, Posting

__all__ = ["account_pages"]

PATHS: Final = ["/App/{app_token:str}/Account/Manage/{page:str}", "/app/{app_token:str}/account/manage/{page:str}"]
FORM_MAX_BYTES: Final = 16_384
EMAIL_MAX, PASSWORD_MIN, PASSWORD_MAX = 100, 8, 100
STATIC: Final = {
    "forgotpasswordconfirmation": "forgot_password_confirmation.html",
    "resetpasswordconfirmation": "reset_password_confirmation.html",
    "error": "error.html",
}
SAFE: Final = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
EXPIRED: Final = "The form is too old, or cookies are blocked. Please send it again."
TOO_MANY: Final = "This was tried too often. Please wait some minutes, then try again."

Answer = Response[Any]
Web = Request[Any, Any, Any]


def account_pages(posting: Posting, options: EmailSettings) -> list[Page]:
    """One handler that shows every page and takes its form."""
    pages = AccountPages(posting, options)

    @route(PATHS, http_method=["GET", "POST"], status_code=200, request_max_body_size=FORM_MAX_BYTES)
    async def account_page(request: Request[Any, Any, Any], call: PageCall, page: FromPath[str]) -> Response[Any]:
        visit = Visit(pages, request, call)
        return await (visit.take if request.method == "POST" else visit.show)(page.lower())

    return [Page(account_page, Open(), application_in="app_token")]


class AccountPages:
    """What all visits share: the templates, and the posting of mails."""

    def __init__(self, posting: Posting, options: EmailSettings) -> None:
        shipped = PackageLoader("apilane_email")
        own = [] if options.templates_dir is None else [FileSystemLoader(options.templates_dir)]
        self.loader = ChoiceLoader([*own, shipped])
        self.templates = Environment(loader=self.loader, autoescape=True, undefined=StrictUndefined)
        self.posting = posting
        self.is_secure = posting.public_url.startswith("https:")


class Visit:
    """One request for a page."""

    def __init__(self, pages: AccountPages, request: Web, call: CallView) -> None:
        self._pages = pages
        self._request = request
        self._call = call
        self._guard = FormGuard(request, call.application)
        self._base = f"{request.scope.get('root_path', '')}/App/{call.application.token}/Account/Manage"
        self._token = call.query.get("token", "")

    async def show(self, page: str) -> Answer:
        """Answer a GET."""
        if page in STATIC:
            return self._html(STATIC[page])
        if page == "style.css":
            source, _, _ = self._pages.loader.get_source(self._pages.templates, page)
            headers = {**SAFE, "cache-control": "public, max-age=300"}
            return Response(source, media_type="text/css; charset=utf-8", headers=headers)
        if page == "forgotpassword":
            return self._form("forgot_password.html", {})
        if page == "resetpassword":
            if not await self._call.application.accounts.knows_reset(self._token):
                return self._redirect("Error")
            return self._form("reset_password.html", {})
        raise NotFoundException

    async def take(self, page: str) -> Answer:
        """Answer a POST."""
        if page not in {"forgotpassword", "resetpassword"}:
            raise NotFoundException
        form = await self._request.form()
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        take = self._forgot if page == "forgotpassword" else self._reset
        return await take(fields, is_ours=self._guard.admits(fields.get(FIELD, "")))

    async def _forgot(self, fields: dict[str, str], *, is_ours: bool) -> Answer:
        email = trim(fields.get("Email", ""))
        errors = {} if is_ours else {"": EXPIRED}
        if is_ours and (problem := email_problem(email)):
            errors["Email"] = problem
        if not errors:
            try:
                await self._pages.posting.request(self._call.application, RESET, email, self._call.client_address)
            except ApilaneError as error:
                if error.code is not Code.RATE_LIMIT_EXCEEDED:
                    return self._redirect("Error")
                errors[""] = TOO_MANY
        if errors:
            return self._form("forgot_password.html", errors, email)
        return self._redirect("ForgotPasswordConfirmation")

    async def _reset(self, fields: dict[str, str], *, is_ours: bool) -> Answer:
        accounts = self._call.application.accounts
        if not await accounts.knows_reset(self._token):
            return self._redirect("Error")
        email, password = trim(fields.get("Email", "")), trim(fields.get("Password", ""))
        errors = reset_problems(email, password, trim(fields.get("ConfirmPassword", ""))) if is_ours else {"": EXPIRED}
        if not errors:
            try:
                if not await accounts.reset_password(self._token, email, password, self._call.client_address):
                    return self._redirect("Error")
            except ApilaneError as error:
                if error.code is Code.RATE_LIMIT_EXCEEDED:
                    errors[""] = TOO_MANY
                else:
                    errors["Password"] = error.message
        if errors:
            return self._form("reset_password.html", errors, email)
        return self._redirect("ResetPasswordConfirmation")

    def _redirect(self, page: str) -> Answer:
        return Response(b"", status_code=302, headers={**SAFE, "location": f"{self._base}/{page}"})

    def _form(self, template: str, errors: dict[str, str], email: str = "") -> Answer:
        """A form with a cookie; with errors it has the status 400."""
        query = f"?Token={self._token}" if template == "reset_password.html" else ""
        name = "ResetPassword" if query else "ForgotPassword"
        shown = dict.fromkeys(("", "Email", "Password", "ConfirmPassword"), "") | errors
        answer = self._html(
            template,
            errors=shown,
            email=email[:EMAIL_MAX],
            action=f"{self._base}/{name}{query}",
            form_token=self._guard.token,
        )
        answer.status_code = 400 if errors else 200
        answer.cookies.append(self._guard.cookie(self._base, is_secure=self._pages.is_secure))
        return answer

    def _html(self, template: str, **values: object) -> Answer:
        application = self._call.application.definition.name
        text = self._pages.templates.get_template(template).render(application=application, base=self._base, **values)
        headers = {**SAFE, "cache-control": "no-store"}
        return Response(text, media_type="text/html; charset=utf-8", headers=headers)


def email_problem(email: str) -> str | None:
    """What is wrong with a typed address."""
    if not email:
        return "Enter your e-mail address."
    if len(email) > EMAIL_MAX or not is_email(email):
        return "This is not an e-mail address. Write it like ann@example.com."
    return None


def reset_problems(email: str, password: str, again: str) -> dict[str, str]:
    """What is wrong with a form for a new password, by field."""
    errors = {}
    if problem := email_problem(email):
        errors["Email"] = problem
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        errors["Password"] = f"The password must have {PASSWORD_MIN} to {PASSWORD_MAX} characters."
    elif password != again:
        errors["ConfirmPassword"] = "The passwords are not equal."
    return errors
