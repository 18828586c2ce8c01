"""Multipart bodies, most of them almost valid: file uploads, which are sent to any path."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz.headers import MARK

__all__ = ["forms"]

one_of = st.sampled_from
NAMES = ("FileUpload", "Text", "ID", "entity", MARK, "", f'{MARK}"; x="', "\xe9", "../" + MARK)
DISPOSITIONS = (
    'form-data; name="{0}"',
    'form-data; name="{0}"; filename="{0}"',
    "form-data; name={0}; filename*=UTF-8''%00{0}",
    'attachment; name="{0}"',
    "form-data",
    "{0}" * 200,
)
LINES = ("Content-Type: text/plain", "Content-Type: multipart/mixed; boundary=x", "Content-Length: 5", f"{MARK}", "")
CONTENTS = (MARK.encode(), b"", b"--x", b"\r\n--x", b"\x00\xff" * 9, MARK.encode() * 500, b'{"Text": "Zq7x"}')
BOUNDARIES = ("x",) * 6 + ("", '"x"', "y", "x; boundary=y", "x" * 80, " x", "\xe9")
ENDS = (b"--x--\r\n",) * 4 + (b"", b"--x\r\n", b"--x--", b"--y--\r\n", b"--x--\r\n" + MARK.encode())


@st.composite
def _parts(draw: st.DrawFn) -> bytes:
    name = draw(one_of(NAMES))
    head = "Content-Disposition: " + draw(one_of(DISPOSITIONS)).replace("{0}", name)
    lines = [head, *draw(st.lists(one_of(LINES), max_size=2))]
    end = draw(one_of(("\r\n", "\r\n", "\r\n", "\n")))
    return f"--x{end}{end.join(lines)}{end}{end}".encode() + draw(one_of(CONTENTS)) + end.encode()


forms = st.tuples(
    one_of(BOUNDARIES).map(lambda boundary: f"multipart/form-data; boundary={boundary}"),
    st.tuples(st.lists(_parts(), max_size=3).map(b"".join), one_of(ENDS)).map(b"".join),
)
"""Content type and body."""
