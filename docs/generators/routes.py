"""The page of routes: every wire call with its declarations, from the table that the server uses."""

from __future__ import annotations

import tempfile
from pathlib import Path

from apilane.app import create_app
from apilane.plugin.access import Access, Account, CustomEndpoint, Data, Open, Operator, PerOperation, Program, Schema
from apilane.settings import Settings
from apilane.web.routes import RegisteredCall
from generators.tables import table

INTRO = """# Routes

Every wire call of the core and of the shipped plugins, with the declarations of its route. One function checks every
call in this order: shape of the request, application, signature headers, operator, online, gates, identity, access,
rate limit. A route without a declaration stops start-up. See also
[how a request passes](../explanation/request-path.md).

- *access*: the rule or the kind of caller that the call requires.
- *counts*: whether the call counts against the rate limit of the caller's rules.
- *body*: `json`: a body without a JSON content type is answered with HTTP 415. `none`: the body is ignored.
- *audit*: whether an operator's call is written to the audit before it changes anything.

"""


def asked(access: Access) -> str:
    """The access of a declaration in words."""
    match access:
        case Data():
            return f"a rule for `{access.action}` on {f'`{access.entity}`' if access.entity else 'the entity'}"
        case CustomEndpoint(posted=True):
            return "a rule for an endpoint that allows POST; or an operator, who tries a query"
        case CustomEndpoint():
            return "a rule for the endpoint"
        case Schema():
            return "a rule for the schema"
        case Account():
            return ("a user, or a program for a user" if access.programs else "a user") if access.user else "nothing"
        case Program():
            return f"a program with the scope `{access.scope}`"
        case PerOperation():
            return "a rule for each operation"
        case Operator():
            return "an operator of the application"
        case Open():
            return "nothing"


def row(registered: RegisteredCall) -> tuple[str, ...]:
    """One call."""
    call = registered.call
    path = call.path + ("{name}" if call.path.endswith("/") else "")
    counts = isinstance(call.access, (Data, CustomEndpoint, Schema, PerOperation))
    told = asked(call.access), "yes" if counts else "-", call.body, "yes" if call.audited else "-"
    return (f"`{call.method} {path}`", *told, registered.plugin)


def page() -> str:
    """The introduction and one row per call."""
    with tempfile.TemporaryDirectory() as folder:  # nothing is opened, so nothing is made there
        routes = create_app(Settings(data_dir=Path(folder))).routes
    return INTRO + table(("call", "access", "counts", "body", "audit", "from"), [row(each) for each in routes])
