"""The ends of error messages: the value that was found, the possible names, the nearest one. Pure.

Pass only names that the caller may know: messages reach callers (docs/reference/protocol/errors.md section 1.1, B-E8).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable

__all__ = ["choice", "kind_of", "listed", "near", "shortened", "shown", "unfit_keys", "unknown"]

SHOWN_MAX = 60
"""Characters of a name that is compared with the possible ones, and of a name in a message."""
LISTED_MAX = 30
"""Names in a message."""
COMPARED_MAX = 500
"""Names that are compared with the found one; each takes about 10 us."""

SIMILAR = 0.7
"""The similarity of a suggestion, from 0 to 1: no suggestion is better than a wrong one."""

_is_word = re.compile(r"[A-Za-z_]{1,24}").fullmatch


def kind_of(value: object) -> str:
    """The kind of a JSON value. Values themselves may be secret, so messages name their kind."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else "a boolean"
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    return "a text" if isinstance(value, str) else "a number"


def shown(value: object) -> str:
    """A name as a message displays it, if it looks like one. Any other value may be a secret that was misplaced."""
    return f"'{value}'" if isinstance(value, str) and _is_word(value) else kind_of(value)


def shortened(name: str) -> str:
    """A name that a caller sent, as messages repeat it: a long one is cut, because it can have megabytes."""
    return name if len(name) <= SHOWN_MAX else f"{name[:SHOWN_MAX]}..."


def unknown(what: str, found: str) -> str:
    """``unknown part 'Yaer'``, or ``unknown part, found a text`` when it does not look like a name."""
    return f"unknown {what} {shown(found)}" if _is_word(found) else f"unknown {what}, found {kind_of(found)}"


def unfit_keys(keys: Iterable[str], possible: Collection[str]) -> str:
    """``found 'Nmae'; possible: Name (did you mean 'Name'?)`` for the keys of a JSON object; ``found no keys``."""
    found = [*keys]
    if not found:
        return f"found no keys{choice('', possible)}"
    hint = next((hint for key in found[:LISTED_MAX] if (hint := near(key, possible))), "")
    return f"found {listed([*map(shown, found)])}" + (f"; possible: {listed(possible)}{hint}" if possible else "")


def listed(names: Collection[str]) -> str:
    """The names, the first ones of many."""
    some = ", ".join([*names][:LISTED_MAX])
    return some if len(names) <= LISTED_MAX else f"{some} and {len(names) - LISTED_MAX} more"


def choice(found: str, possible: Collection[str]) -> str:
    """``; possible: a, b (did you mean 'a'?)``, or nothing without possible names."""
    return f"; possible: {listed(possible)}{near(found, possible)}" if possible else ""


def near(found: str, possible: Collection[str], *, similar: float = SIMILAR) -> str:
    """`` (did you mean 'a'?)`` when a possible name is similar, else nothing."""
    known = {name.lower(): name for name in possible}
    if not found or len(found) > SHOWN_MAX or len(known) > COMPARED_MAX:
        return ""
    close = difflib.get_close_matches(found.lower(), known, n=1, cutoff=similar)
    return f" (did you mean '{known[close[0]]}'?)" if close else ""
