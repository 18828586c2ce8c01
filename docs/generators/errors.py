"""The page of errors, from ``apilane/errors.py``. A code that no other file names is marked as not sent."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

from apilane import errors
from generators.tables import table

ROOT = Path(__file__).parents[2]
INTRO = """# Errors

Every error under `/api/` is answered with JSON:

```json
{"Code": "VALIDATION", "Message": "Minimum 4 characters", "Property": "Name", "Entity": "Products"}
```

Programs compare `Code`; `Message` is for people. `Property` and `Entity` are names in the spelling of the manifest, or
null. The table lists the HTTP status of each code. Exceptions: an unknown path is 404, a wrong method is 405, a body
whose content type is not JSON is 415. Wrong credentials are 400 `ERROR` "Invalid login attempt", not 401.

[Protocol, errors](protocol/errors.md) lists the messages of each situation and the order of the checks. A command that
fails prints one line that begins with `Error:` and ends with exit code 1.

"""


def page() -> str:
    """One row per code."""
    used = set(names_used())
    rows = []
    for code, when in documented():
        error = errors.ApilaneError(code)
        unsent = "" if code.name in used else " Not sent by this release."
        rows.append((f"`{code.value}`", error.message, str(error.status), when + unsent))
    return INTRO + table(("code", "default message", "status", "when"), rows)


def documented() -> Iterator[tuple[errors.Code, str]]:
    """Every code with the docstring below it."""
    (declared,) = ast.parse(inspect.getsource(errors.Code)).body
    assert isinstance(declared, ast.ClassDef)
    for code, text in zip(declared.body, declared.body[1:], strict=False):
        match code, text:
            case ast.Assign(targets=[ast.Name(id=name)]), ast.Expr(value=ast.Constant(value=str(when))):
                yield errors.Code[name], when


def names_used() -> Iterator[str]:
    """Names of codes that the core and its plugins use. The client only reads codes, so it is left out."""
    for room in ("apilane", "plugins", "drivers"):
        for path in sorted((ROOT / room).rglob("*.py")):
            if path.parent.name == "client":
                continue
            if path == Path(errors.__file__):
                yield "UNAUTHORIZED"  # a function and a class of that file raise these two
                yield "RATE_LIMIT_EXCEEDED"
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.Attribute(value=ast.Name(id="Code"), attr=name):
                        yield name
