"""Strategies for the Stats calls: queries that succeed, and queries with any text in any place."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hypothesis import strategies as st

from tests.fuzz.headers import MARK

__all__ = ["PAGES", "statistics_queries"]

Texts = st.SearchStrategy[str]
Query = st.SearchStrategy[tuple[tuple[str, str], ...]]

FUNCTIONS = ("Count", "Min", "max", "SUM", "Avg", "Median", "", MARK)
PARTS = ("year", "Month", "day", "hour", "minute", "second", "week", "", MARK)
DIRECTIONS = ("asc", "true", "DESC", "", MARK)
PAGES = ("1", "2", "0", "-1", "20", "1000", "1001", "2147483648", "990099", "x", "", "1_0", "٣")
SOUND_MEASURES = (
    "ID.Count",
    "Price.Sum",
    "Amount.Avg",
    "Amount.Sum",
    "Text.Max",
    "Moment.Min",
    "Done.Max",
    "Price.Avg",
)
SOUND_GROUPS = ("Text", "Done", "Amount", "Price", "Moment", "Moment.year", "Moment.day", "Moment.second")
SOUND_PROPERTIES = ("Text", "Mark", "Done", "Moment", "Price")


def _list_of(items: Texts, least: int, most: int) -> Texts:
    return st.lists(items, min_size=least, max_size=most).map(",".join)


def statistics_queries(
    query: Callable[..., Query],
    entities: Texts,
    common: Texts,
    names: Texts,
    texts: Texts,
    filters: Texts,
    sound_filters: Texts,
) -> Iterator[tuple[str, Query]]:
    """Path and query of each kind of call. ``query`` combines parameters; ``common``: entities that most may read."""
    measures = _list_of(st.builds("{}.{}".format, names, st.sampled_from(FUNCTIONS)), 1, 4)
    groups = _list_of(names | st.builds("{}.{}".format, names, st.sampled_from(PARTS)), 0, 4)
    paging = {
        "orderDirection": st.sampled_from(DIRECTIONS),
        "pageIndex": st.sampled_from(PAGES),
        "pageSize": st.sampled_from(PAGES),
    }
    yield (
        "/api/Stats/Aggregate",
        query(
            entity=entities,
            properties=measures | _list_of(names, 0, 4) | texts,
            groupBy=groups | texts,
            filter=filters,
            **paging,
        ),
    )
    yield "/api/Stats/Distinct", query(entity=entities, property=names | texts, filter=filters)
    yield (
        "/api/Stats/Aggregate",
        query(
            "entity properties",
            entity=common,
            properties=_list_of(st.sampled_from(SOUND_MEASURES), 1, 2),
            groupBy=_list_of(st.sampled_from(SOUND_GROUPS), 0, 2),
            filter=sound_filters,
            **paging,
        ),
    )
    yield (
        "/api/Stats/Distinct",
        query("entity property", entity=common, property=st.sampled_from(SOUND_PROPERTIES)),
    )
