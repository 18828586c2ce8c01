"""Calls on records: Data, Stats and custom endpoints (``docs/reference/protocol/wire-api.md`` sections 4 and 6).

Calls on the entity ``Files`` go to its separate controller, as with every client.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx

from apilane.client.call import Call, ParameterValue, Record, read_json
from apilane.client.filters import F, Filter, Sort, sort_keys

__all__ = [
    "PAGE_MAX",
    "Condition",
    "Names",
    "Page",
    "Walk",
    "aggregate",
    "condition_of",
    "custom",
    "delete",
    "distinct",
    "get",
    "get_by_id",
    "history",
    "names_of",
    "post",
    "put",
    "schema",
]

PAGE_MAX = 1000
"""The most records of one page."""

Names = str | Iterable[str]
Condition = Filter | Mapping[str, Any]

read_record = read_json(dict)
read_records = read_json(list, dict)
read_integers = read_json(list, int)


class _PageFields(NamedTuple):
    records: list[Record]
    total: int | None


class Page(_PageFields):
    """Records of one page. ``total``: the number of records on all pages; None unless requested."""

    next: str | None = None
    """The cursor of the next page; None after the last page, and unless requested."""
    has_cursor: bool = False
    """Whether the answer says which page comes next; servers without cursors do not."""


def _read_page(response: httpx.Response) -> Page:
    answer = read_record(response)
    records, total = answer["Data"], answer.get("Total")
    if not isinstance(records, list):
        raise TypeError("Data is not a list")
    page = Page(records, total)
    if "Next" in answer:
        page.next, page.has_cursor = answer["Next"], True
    return page


def _target(action: str, entity: str) -> tuple[str, dict[str, Any]]:
    """Path and first parameters of a call that names an entity."""
    if entity.lower() == "files":
        return f"/api/Files/{action}", {}
    return f"/api/Data/{action}", {"Entity": entity}


def names_of(names: Names | None) -> str | None:
    """Names as the wire has them."""
    return names if names is None or isinstance(names, str) else ",".join(names)


def condition_of(filter: Condition | None) -> Mapping[str, Any] | None:
    """A filter as the wire has it."""
    return filter.wire if isinstance(filter, Filter) else filter


def get(
    entity: str,
    *,
    filter: Condition | None = None,
    sort: Sort | None = None,
    properties: Names | None = None,
    page_index: int = 1,
    page_size: int = 20,
    cursor: bool = False,
    after: str | None = None,
    expand: Names | None = None,
    expand_limit: int | None = None,
    expand_properties: str | None = None,
    total: bool = False,
) -> Call[Page]:
    """One page of the records that the caller may read.

    ``sort`` None: the entity's default order. ``properties`` None: all that the caller may read; ``ID`` always comes.
    ``page_index`` counts from 1, ``page_size`` is 1 to 1000. ``total``: also count all matching records.
    ``cursor``: the page gets ``next``. ``after``: the ``next`` of an earlier page with the same filter and sort; raises
    InvalidSort for another text. ``expand``: paths to related records, such as ``CustomerID`` or
    ``Orders(CustomerID)``; they come as ``Expanded`` of each record. ``expand_limit``: the most records of a list, 100
    by default. ``expand_properties``: ``CustomerID:Name,Email``.
    """
    path, query = _target("Get", entity)
    query |= {"pageIndex": page_index, "pageSize": page_size, "filter": condition_of(filter)}
    query |= {"sort": None if sort is None else sort_keys(sort), "properties": names_of(properties), "getTotal": total}
    if cursor or after is not None:
        query |= {"cursor": cursor, "after": after}
    if expand is not None:
        query |= _expansion(expand, expand_limit, expand_properties)
    return Call("GET", path, _read_page, query, repeatable=True)


def _expansion(expand: Names, limit: int | None, properties: str | None) -> dict[str, ParameterValue]:
    return {"expand": names_of(expand), "expandLimit": limit, "expandProperties": properties}


def get_by_id(
    entity: str,
    id: int,
    *,
    properties: Names | None = None,
    expand: Names | None = None,
    expand_limit: int | None = None,
    expand_properties: str | None = None,
) -> Call[Record]:
    """One record. Raises NotFound when it does not exist or the caller may not read it. ``expand``: as in ``get``."""
    path, query = _target("GetByID", entity)
    query |= {"id": id, "properties": names_of(properties)}
    if expand is not None:
        query |= _expansion(expand, expand_limit, expand_properties)
    return Call("GET", path, read_record, query, repeatable=True)


def history(entity: str, id: int, *, page_index: int = 1, page_size: int = 10) -> Call[Page]:
    """The states of a record before each of its changes, newest first.

    Each has ``History_Record_Created`` (unix ms) and ``History_Record_Owner`` in addition to the record's properties.
    ``total`` is always set.
    """
    query = {"Entity": entity, "id": id, "pageIndex": page_index, "pageSize": page_size}
    return Call("GET", "/api/Data/GetHistoryByID", _read_page, query, repeatable=True)


def post(entity: str, records: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> Call[list[int]]:
    """Store one record or several, all or none; returns their IDs in order."""
    return Call("POST", "/api/Data/Post", read_integers, {"Entity": entity}, body_of(records))


def put(entity: str, records: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> Call[int]:
    """Change the given properties of one record or several, each with its ``ID``, all or none.

    Returns how many records were found. An ID that does not exist, or that the caller may not change, is not counted;
    it is not an error.
    """
    return Call("PUT", "/api/Data/Put", read_json(int), {"Entity": entity}, body_of(records))


def body_of(records: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> Any:
    """One record as an object, several as a list."""
    return dict(records) if isinstance(records, Mapping) else [dict(record) for record in records]


def delete(entity: str, ids: int | Iterable[int]) -> Call[list[int]]:
    """Delete records; returns the IDs that were deleted, ascending."""
    path, query = _target("Delete", entity)
    return Call("DELETE", path, read_integers, {**query, "ids": id_list(ids)})


def id_list(ids: int | Iterable[int]) -> str:
    """IDs separated by commas, as the wire protocol requires."""
    return ",".join(str(id) for id in ([ids] if isinstance(ids, int) else ids))


def schema() -> Call[dict[str, Any]]:
    """Settings, entities and properties of the application (``docs/reference/protocol/wire-api.md`` section 4.7)."""
    return Call("GET", "/api/Data/Schema", read_record, repeatable=True)


def aggregate(
    entity: str,
    properties: Names,
    *,
    group_by: Names | None = None,
    filter: Condition | None = None,
    ascending: bool = False,
    page_index: int = 1,
    page_size: int = 20,
) -> Call[list[Record]]:
    """Counts, sums, averages, least and greatest values: ``aggregate("Orders", "Price.Sum", group_by="Created.year")``.

    ``properties``: ``Name.Count``, ``.Min``, ``.Max``, ``.Sum``, ``.Avg``, at most 50; the results are named
    ``Price_sum``. ``group_by``: at most 10 properties; for dates also ``Name.year`` to ``Name.second``, in UTC, whose
    values are named ``Created_year``. Without it there is one record. Groups are ordered by the results, then by their
    values; ``page_size`` is at most 1000. Raises InvalidGroupBy for an unfit group.
    """
    query = {
        "Entity": entity,
        "properties": names_of(properties),
        "pageIndex": page_index,
        "pageSize": page_size,
        "filter": condition_of(filter),
        "groupBy": names_of(group_by),
        "orderDirection": "ASC" if ascending else "DESC",
    }
    return Call("GET", "/api/Stats/Aggregate", read_records, query, repeatable=True)


def _read_values(response: httpx.Response) -> list[Any]:
    return [value for record in read_records(response) for value in record.values()]


def distinct(entity: str, property: str, *, filter: Condition | None = None) -> Call[list[Any]]:
    """The distinct values of a property in order, at most 10,000; None is the first when there are records without a
    value."""
    query = {"Entity": entity, "property": property, "filter": condition_of(filter)}
    return Call("GET", "/api/Stats/Distinct", _read_values, query, repeatable=True)


def custom(name: str, /, **parameters: ParameterValue) -> Call[list[list[Record]]]:
    """Run a custom endpoint: its result sets, each a list of rows. Parameter names are case-sensitive.

    A parameter without a type in the manifest takes whole numbers only.
    """
    return Call("GET", f"/api/Custom/{quote(name, safe='')}", read_json(list, list), parameters)


class Walk:
    """All records page by page: send ``next_call()`` until it is None, and pass each answer to ``take``.

    Without ``sort`` records come by ``ID``, and each page begins after the last ID read. With ``sort`` each page begins
    at the cursor of the one before. Records that are stored or deleted meanwhile do not cause repeated or missing ones.
    If the server has no cursors, pages of a ``sort`` are read by number.
    """

    def __init__(
        self, entity: str, filter: Condition | None, sort: Sort | None, properties: Names | None, page_size: int
    ) -> None:
        if not 1 <= page_size <= PAGE_MAX:
            raise ValueError(f"page_size must be 1 to {PAGE_MAX}, not {page_size}")
        self._entity = entity
        self._filter = None if filter is None else Filter(condition_of(filter) or {})
        self._sort = sort
        self._properties = names_of(properties)
        self._page_size = page_size
        self._page_index = 1
        self._last_id: int | None = None
        self._after: str | None = None
        self._uses_cursors = sort is not None
        self._ended = False

    def next_call(self) -> Call[Page] | None:
        """The call for the next page; None after the last."""
        if self._ended:
            return None
        filter, sort = self._filter, self._sort
        if sort is None:
            sort = "ID"
            if self._last_id is not None:
                rest = F("ID") > self._last_id
                filter = rest if filter is None else filter & rest
        return get(
            self._entity,
            filter=filter,
            sort=sort,
            properties=self._properties,
            page_index=self._page_index,
            page_size=self._page_size,
            cursor=self._uses_cursors,
            after=self._after,
        )

    def take(self, page: Page) -> list[Record]:
        """Take an answer, and return its records."""
        records = page.records
        if len(records) < self._page_size or (page.has_cursor and page.next is None):
            self._ended = True
        elif self._sort is None:
            self._last_id = records[-1]["ID"]
        else:
            self._page_index += 1
            self._after = page.next
        return records

    def stop_cursors(self) -> bool:
        """Go on by page numbers after the server refused a cursor, as for sorts over long texts; False if there are no
        cursors to stop."""
        was_used = self._uses_cursors
        self._uses_cursors, self._after = False, None
        return was_used
