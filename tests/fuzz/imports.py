"""Bodies of imports, most of them valid."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz.headers import MARK

__all__ = ["imported"]

TEXTS = ("ABC", MARK, f"{MARK}' or 1=1 --", f"\u0130\u1e9e\u03c2{MARK}", f"{MARK}\x00", 1, None)

imported = st.lists(
    st.fixed_dictionaries(
        {"ID": st.integers(1, 10**6), "Created": st.integers(0, 10**12)},
        optional={"Text": st.sampled_from(TEXTS), "Nope": st.just(MARK)},
    ),
    max_size=3,
)
