"""Unexpected failures: the answer to the caller, and the log line with a reference and the plugin at fault."""

from __future__ import annotations

import logging
import secrets

from apilane.dispatch import Hooks
from apilane.errors import ApilaneError, Code, PluginFault
from apilane.services.failures import wire_error
from apilane.storage.errors import Deadlock, OutOfStep, StatementTimeout, StorageError, Unavailable

__all__ = ["failure_answer"]

log = logging.getLogger("apilane.web")


def failure_answer(
    error: BaseException,
    where: str,
    hooks: Hooks,
    *,
    subject: object = None,
    entity: str | None = None,
    told: bool = False,
) -> ApilaneError:
    """The answer to a failure. ``where``: method and path, for the log. ``subject``: the registered object at work.

    ``told``: the caller is an operator and reads the text of the failure; other callers never do (B-E3).
    """
    if isinstance(error, ApilaneError):
        if told and error.told is not None:
            error.message = f"{error.message}: {error.told}"
        return error
    if isinstance(error, StorageError):
        reply = wire_error(error, entity)
        if reply.code is not Code.ERROR:
            # The caller can correct a violated constraint; only an operator can help a database in trouble.
            # OutOfStep was logged when the application was opened.
            trouble = isinstance(error, (Unavailable, StatementTimeout, Deadlock)) and not isinstance(error, OutOfStep)
            log.log(logging.WARNING if trouble else logging.DEBUG, "storage refused %s: %s", entity, error)
            return reply
    if isinstance(error, PluginFault):
        subject = error.subject
    reference = secrets.token_hex(4)
    blamed = hooks.blamed(error, subject)
    log.error("unexpected failure %s in %s%s", reference, where, f", {blamed}" if blamed else "", exc_info=error)
    text = f"{str(error) or type(error).__name__} (reference {reference})" if told else None
    return ApilaneError(Code.ERROR, text, entity=entity)
