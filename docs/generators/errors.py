"""The page of errors, from ``apilane/errors.py``; a code that no other file names is not sent."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

from apilane import errors
from generators.tables import table

ROOT = Path(__file__).parents[2]
INTRO = """# Errors

Every answer under `/api/` that is no success is JSON:

```json
{"Code": "VALIDATION", "Message": "Minimum 4 characters", "Property": "Name", "Entity": "Products"}
```

Programs compare `Code`; `Message` is for people. `Property` and `Entity` are names in the spelling of the manifest, or
null. The HTTP status is the one below. Exceptions: 404 for an unknown path, 405 for a wrong method, 415 for a
body that is not called JSON. Wrong credentials are 400 `ERROR` "Invalid login attempt", not 401.

Which message and which check belong to which situation: [protocol, errors](protocol/errors.md). A command that fails
prints one line that begins with `Error:` and ends with exit code 1.

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
    """Every code with the text below it."""
    (declared,) = ast.parse(inspect.getsource(errors.Code)).body
    assert isinstance(declared, ast.ClassDef)
    for code, text in zip(declared.body, declared.body[1:], strict=False):
        match code, text:
            case ast.Assign(targets=[ast.Name(id=name)]), ast.Expr(value=ast.Constant(value=str(when))):
                yield errors.Code[name], when


def names_used() -> Iterator[str]:
    """Names of codes that the core and its plugins mention; the client only reads them."""
    for room in ("apilane", "plugins", "drivers"):
        for path in sorted((ROOT / room).rglob("*.py")):
            if path.parent.name == "client":
                continue
            if path == Path(errors.__file__):
                yield "UNAUTHORIZED"  # raised by its own function there
                yield "RATE_LIMIT_EXCEEDED"
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.Attribute(value=ast.Name(id="Code"), attr=name):
                        yield name
