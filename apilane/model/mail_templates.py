"""Templates of mails: their placeholders, and those of an application that lists none. Pure."""

from __future__ import annotations

import re
from typing import Final

from apilane.model.definition import ApplicationDefinition, EmailTemplate
from apilane.model.system import EMAIL_TEMPLATE_SEEDS

__all__ = ["TEMPLATES", "URLS", "placeholder_problem", "template_of"]

URLS: Final = {"UserRegisterConfirmation": "confirmation_url", "UserForgotPassword": "reset_password_url"}
"""The placeholder of the link, by event."""
COMMON: Final = ("Users.ID", "Users.Username", "Users.Email")
TEMPLATES: Final = {seed[1]: seed for seed in EMAIL_TEMPLATE_SEEDS}
"""``(ID, EventCode, Description, Subject, Content)`` of the templates of a new application, by event."""

_found = re.compile(r"\{(Users\.[^{}\s]{0,100}|\w{0,100}_url)\}", re.IGNORECASE).findall


def placeholder_problem(event: str, text: str) -> tuple[str, str] | None:
    """The first placeholder that does not exist, as a message and a hint. Other braces, such as of CSS, are text."""
    known = (*COMMON, URLS[event])
    wrong = next((name for name in _found(text) if name not in known), None)
    if wrong is None:
        return None
    listed = ", ".join(f"{{{name}}}" for name in known)
    return f"the placeholder {{{wrong}}} does not exist in mails of {event}", f"there are {listed}"


def template_of(definition: ApplicationDefinition, event: str) -> EmailTemplate:
    """The template of an event; the first one is inactive until a manifest or an operator changes it."""
    for template in definition.email_templates:
        if template.event == event:
            return template
    _, _, _, subject, content = TEMPLATES[event]
    return EmailTemplate(event=event, subject=subject, content=content)
