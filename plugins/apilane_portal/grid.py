"""What the data browser shows, read from the address: sort, filters, page, columns; and the values of cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from msgspec import Struct

from apilane.plugin import Entity, ForeignKey, Property, PropertyType, Records
from apilane.plugin.manage import ApplicationManagement

__all__ = ["HIDDEN", "View", "filter_of", "labels_of", "reference_of", "shown_properties", "view_of"]

PAGE_SIZE: Final = 50
HIDDEN: Final = {"Users": {"Password"}, "AuthTokens": {"Token"}}
OPERATORS: Final = {
    PropertyType.String: "contains",
    PropertyType.Number: "equal",
    PropertyType.Boolean: "equal",
    PropertyType.Date: "greaterorequal",
}
"""How the filter row compares each type."""
PREFIX: Final = "f."


class View(Struct, frozen=True):
    """A view of an entity's records. ``filters``: typed texts by property."""

    entity: str
    base: str
    sort: str = ""
    descending: bool = False
    page: int = 1
    filters: dict[str, str] = {}
    columns: tuple[str, ...] = ()
    is_counted: bool = False

    def query(self, **changes: Any) -> str:
        """The address of the view with some parts changed."""
        values = {
            "sort": self.sort,
            "dir": "desc" if self.descending else "",
            "page": "" if self.page == 1 else str(self.page),
            "cols": ",".join(self.columns),
            "count": "1" if self.is_counted else "",
            **{PREFIX + name: text for name, text in self.filters.items()},
            **{name: str(value) for name, value in changes.items()},
        }
        text = urlencode({name: value for name, value in values.items() if value})
        return f"{self.base}?{text}" if text else self.base

    def sorted_by(self, name: str) -> str:
        """The address after a click on a column: ascending, descending, the default order."""
        if self.sort != name:
            return self.query(sort=name, dir="", page="")
        return (
            self.query(sort=name, dir="desc", page="") if not self.descending else self.query(sort="", dir="", page="")
        )

    def without(self, name: str) -> str:
        """The address without one filter."""
        return self.query(**{PREFIX + name: "", "page": ""})


def view_of(entity: Entity, base: str, query: Mapping[str, str]) -> View:
    """The view that an address describes; unknown names are ignored."""
    names = {each.name for each in shown_properties(entity)}
    page = query.get("page", "1")
    return View(
        entity=entity.name,
        base=base,
        sort=query.get("sort", "") if query.get("sort") in names else "",
        descending=query.get("dir") == "desc",
        page=max(1, int(page)) if page.isascii() and page.isdecimal() and len(page) < 10 else 1,
        filters={name: query[PREFIX + name] for name in sorted(names) if query.get(PREFIX + name)},
        columns=tuple(name for name in query.get("cols", "").split(",") if name in names),
        is_counted=query.get("count") == "1",
    )


def shown_properties(entity: Entity) -> list[Property]:
    """The properties that the grid can show: own ones first, then those of the system, the key in front."""
    hidden = HIDDEN.get(entity.name, set())
    found = [each for each in entity.properties if each.name not in hidden]
    return sorted(found, key=lambda each: (not each.is_primary_key, each.is_system and entity.name != "Users"))


def filter_of(view: View, entity: Entity) -> dict[str, Any] | None:
    """The filter of the view's typed texts."""
    conditions = []
    for name, text in view.filters.items():
        property = entity.property(name)
        if property is None:
            continue
        operator = "equal" if property.encrypted else OPERATORS[property.type]
        value: Any = text
        if text == "null":
            operator, value = "equal", None
        elif property.type is PropertyType.Boolean:
            value = text.lower() in {"yes", "true", "1"}
        conditions.append({"Property": property.name, "Operator": operator, "Value": value})
    return {"Logic": "AND", "Filters": conditions} if conditions else None


def reference_of(entity: Entity, name: str) -> str | None:
    """The entity that a property refers to."""
    keys = (each for each in entity.constraints if isinstance(each, ForeignKey))
    return next((each.entity for each in keys if each.property == name), None)


async def labels_of(
    application: ApplicationManagement, records: Records, entity: Entity, rows: Sequence[Mapping[str, Any]]
) -> dict[str, dict[int, str]]:
    """The labels of the records that rows refer to, by property and ID: the first text of the record."""
    found: dict[str, dict[int, str]] = {}
    for property in shown_properties(entity):
        target = application.definition.entity(reference_of(entity, property.name) or "")
        ids = sorted({row[property.name] for row in rows if row.get(property.name) is not None})
        label = label_of(target) if target is not None else None
        if target is None or label is None or not ids:
            continue
        condition = {"Property": "ID", "Operator": "contains", "Value": ids}
        page = await records.list(target.name, filter=condition, properties=("ID", label), page_size=1000)
        found[property.name] = {row["ID"]: str(row[label] or "") for row in page.records}
    return found


def label_of(entity: Entity) -> str | None:
    """The property that names a record of an entity: its first own text that is not encrypted."""
    texts = [p for p in entity.properties if p.type is PropertyType.String and not p.encrypted]
    own = [p.name for p in texts if not p.is_system] or [p.name for p in texts if p.name in {"Username", "Name"}]
    return own[0] if own else None
