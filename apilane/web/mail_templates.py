"""The calls of operators for the templates of mails (docs/reference/protocol/wire-api.md section 9)."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from apilane.errors import ApilaneError, Code, ConfigurationError
from apilane.instance import Instance
from apilane.model.definition import EmailTemplate
from apilane.model.differences import PlanLine
from apilane.model.json import encode_json
from apilane.model.mail_templates import TEMPLATES, placeholder_problem, template_of
from apilane.model.plan import Plan
from apilane.model.text import trim
from apilane.plugin.access import Operator
from apilane.plugin.calls import WireCall, Write
from apilane.plugin.replies import Reply
from apilane.web import operator_descriptions as descriptions
from apilane.web.call import INT64, Call

__all__ = ["mail_template_calls"]

SUBJECT_MAX = 2000


def mail_template_calls(instance: Instance) -> list[WireCall]:
    """``GetEmails`` and ``Update``. A template is a part of the definition, as in a manifest."""

    async def update(call: Call) -> Write[None]:
        template = _sent(await call.json())
        application = call.application
        before = application.definition
        others = tuple(each for each in before.email_templates if each.event != template.event)
        after = replace(before, email_templates=(*others, template))
        line = PlanLine("changed", f"EmailTemplates[{template.event}]")
        plan = Plan(before=before, after=after, lines=(line,), migration=None, secrets={})

        async def run() -> None:
            try:
                await instance.changes.apply(plan, actor=call.actor.credential or "")
            except ConfigurationError as error:
                raise ApilaneError(Code.SERVICE_UNAVAILABLE, str(error)) from error
            await instance.applications.reload(application.token)

        return Write(
            run=run,
            what=lambda: f"Email/Update {template.event}",
            outcome=lambda _: "stored",
            reply=lambda _: Reply(b'"OK"'),
        )

    access = Operator()
    return [
        WireCall(
            path="/api/Email/GetEmails",
            method="GET",
            action=get_emails,
            access=access,
            description=descriptions.GET_EMAILS,
        ),
        WireCall(
            path="/api/Email/Update",
            method="PUT",
            action=update,
            access=access,
            body="json",
            audited=True,
            description=descriptions.UPDATE_EMAIL,
        ),
    ]


async def get_emails(call: Call) -> Reply:
    """Both templates, or the one with the ID of the query."""
    wanted = call.integer("id", 0, INT64) if call.text("id") else None
    definition = call.application.definition
    found = [
        {
            "ID": id,
            "EventCode": event,
            "Active": template.active,
            "Subject": template.subject,
            "Content": template.content,
            "Description": description,
        }
        for id, event, description, _, _ in TEMPLATES.values()
        for template in (template_of(definition, event),)
        if wanted in (None, id)
    ]
    return Reply(encode_json(found))


def _sent(body: object | None) -> EmailTemplate:
    """The template of a body. Raises EMPTY_BODY, REQUIRED and VALIDATION with the property."""
    if not isinstance(body, dict):
        raise ApilaneError(Code.EMPTY_BODY)
    given: dict[str, Any] = {str(key).lower(): value for key, value in body.items()}
    id, event, active = given.get("id"), given.get("eventcode"), given.get("active")
    known = TEMPLATES.get(event) if isinstance(event, str) else None
    if known is None:
        message = f"Validation error: expected {' or '.join(TEMPLATES)}"
        raise ApilaneError(Code.VALIDATION, message, property="EventCode")
    if id != known[0]:
        raise ApilaneError(Code.VALIDATION, f"Validation error: the template {event} has ID {known[0]}", property="ID")
    if not isinstance(active, bool):
        raise ApilaneError(Code.REQUIRED, property="Active")
    texts = []
    for name in ("Subject", "Content"):
        text = given.get(name.lower())
        if not isinstance(text, str) or not trim(text):
            raise ApilaneError(Code.REQUIRED, property=name)
        if problem := placeholder_problem(known[1], text):
            raise ApilaneError(Code.VALIDATION, f"Validation error: {problem[0]}; {problem[1]}", property=name)
        texts.append(text)
    subject, content = texts
    if len(subject) > SUBJECT_MAX:
        raise ApilaneError(Code.VALIDATION, f"Maximum {SUBJECT_MAX} characters", property="Subject")
    return EmailTemplate(event=known[1], active=active, subject=subject, content=content)
