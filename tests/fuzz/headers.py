"""Header lines as strategies: those that the product reads, with unusual values, and those that it must ignore.

Values contain only what an HTTP server accepts; the rest is tried over a socket (``test_heads.py``).
"""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz.world import B

__all__ = ["MARK", "header_lines"]

MARK = "Zq7x"
READ = (
    *("authorization", "x-application-token", "x-client-id", "x-auth-keyid", "x-auth-timestamp", "x-auth-signature"),
    *("content-type", "content-length", "transfer-encoding", "origin", "access-control-request-headers", "host"),
    *("x-forwarded-for", "accept", "accept-encoding", "if-none-match", "range", "expect", "connection", "upgrade"),
)
KNOWN = (
    ("x-forwarded-for", "1.2.3.4, ::1%, \xe9"),
    ("x-client-id", "portal"),
    ("x-client-id", MARK),
    ("x-auth-keyid", "1"),
    ("x-auth-signature", "AAAA"),
    ("authorization", f"Bearer {MARK}"),
    ("x-application-token", B),
    ("origin", f"http://{MARK}"),
    ("access-control-request-headers", f"{MARK}, b"),
    ("content-type", "text/plain"),
    ("content-length", "5"),
    ("content-length", "99999999999999999999999999"),
    ("transfer-encoding", "chunked"),
    ("host", f"{MARK}.example.com/?#"),
    ("cookie", "a=b"),
)
_letters = st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f")
_values = st.one_of(
    st.sampled_from(("", " ", ",", ";", "=", '"', "*", "0", "-1", "1e9", "\xb2", "none", "Bearer", "Bearer  ", "\t")),
    st.text(_letters, max_size=12).map(lambda text: f"{text}{MARK}"),
    st.sampled_from((f"{MARK}, " * 300, MARK * 1000, f'"{MARK}', "{" * 40, f"bearer {{{B}}} {MARK}")),
)
_names = st.sampled_from(READ) | st.text("abcxyz0-_!~", min_size=1, max_size=8).map(lambda text: f"x-{text}")
header_lines = st.sampled_from(KNOWN) | st.tuples(_names, _values)
"""Name in small letters, as servers pass it on, and value."""
