"""Generated applications, and the expected records after a change: plain Python, no database.

An application is a dict of forms; ``Change`` draws a changed application and computes its records.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Record = dict[str, Any]
"""Values by property name, ``ID`` included, as a database would hold them."""

DEFAULTS: dict[str, Any] = {"String": "", "Number": 0, "Boolean": 0, "Date": 0}
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "String": st.text("abcé😀 ", max_size=12),
    "Number": st.integers(-50, 50).map(lambda quarters: quarters / 4),
    "Boolean": st.integers(0, 1),
    "Date": st.integers(0, 10**13),
}
names = st.text("abcdefgh", min_size=5, max_size=7).map(str.capitalize)


@st.composite
def properties(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """A property in the form of manifests."""
    made: dict[str, Any] = {"Name": name, "Type": draw(st.sampled_from(sorted(DEFAULTS)))}
    if made["Type"] == "Number":
        made["DecimalPlaces"] = draw(st.sampled_from([0, 1, 2]))
    if made["Type"] == "String":
        made["Maximum"] = draw(st.sampled_from([None, 24, 30]))
    made["Required"] = draw(st.booleans())
    return made


@st.composite
def records(draw: st.DrawFn, listed: list[dict[str, Any]], id: int) -> Record:
    """A record that fits the properties."""
    made: Record = {"ID": id}
    for each in listed:
        value = draw(_VALUES[each["Type"]])
        if each["Type"] == "Number":
            value = round(value, each["DecimalPlaces"]) if each["DecimalPlaces"] else int(value)
        made[each["Name"]] = value if each["Required"] or draw(st.integers(0, 4)) else None
    return made


class World:
    """Entities with their properties, in order, and their records."""

    def __init__(self) -> None:
        self.forms: dict[str, list[dict[str, Any]]] = {}
        self.extras: dict[str, dict[str, Any]] = {}
        self.records: dict[str, list[Record]] = {}

    def manifest(self) -> dict[str, Any]:
        entities = [
            {"Name": name, "Properties": listed, "Constraints": [], "Indexes": [], **self.extras.get(name, {})}
            for name, listed in self.forms.items()
        ]
        return {"Apilane": 1, "Application": {"Name": "Shop"}, "Entities": entities}


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """One to three entities of up to four properties and five records."""
    world = World()
    for name in draw(st.lists(names, min_size=1, max_size=3, unique=True)):
        listed = [draw(properties(p)) for p in draw(st.lists(names, max_size=4, unique=True))]
        world.forms[name] = listed
        count = draw(st.integers(0, 5))
        world.records[name] = [draw(records(listed, id)) for id in range(1, count + 1)]
        world.extras[name] = _links(draw, listed)
    return world


def _links(draw: st.DrawFn, listed: list[dict[str, Any]]) -> dict[str, Any]:
    """Any indexes; they are valid for all records."""
    if not listed or not draw(st.booleans()):
        return {}
    return {"Indexes": [{"Properties": [draw(st.sampled_from(listed))["Name"]]}]}


@st.composite
def changed(draw: st.DrawFn, before: World) -> World:
    """A world changed from ``before``, with the expected records."""
    after = World()
    used = {name.lower() for name in before.forms}
    for name, listed in before.forms.items():
        fate = draw(st.sampled_from(["kept", "kept", "renamed", "removed"]))
        if fate == "removed":
            continue
        new = _fresh(draw, used) if fate == "renamed" else name
        after.forms[new], after.records[new] = _changed_properties(draw, listed, before.records[name])
        after.extras[new] = _links(draw, after.forms[new]) | ({"RenamedFrom": name} if new != name else {})
    for _ in range(draw(st.integers(0, 1))):
        name = _fresh(draw, used)
        after.forms[name], after.records[name] = [draw(properties(_fresh(draw, set())))], []
    return after


def _fresh(draw: st.DrawFn, used: set[str]) -> str:
    name = draw(names.filter(lambda each: each.lower() not in used))
    used.add(name.lower())
    return name


def _changed_properties(
    draw: st.DrawFn, listed: list[dict[str, Any]], rows: list[Record]
) -> tuple[list[dict[str, Any]], list[Record]]:
    used = {p["Name"].lower() for p in listed}
    forms: list[dict[str, Any]] = []
    made: list[Record] = [{"ID": row["ID"]} for row in rows]
    for old in listed:
        fate = draw(st.sampled_from(["kept", "renamed", "removed", "other"]))
        if fate == "removed":
            continue
        new = {key: value for key, value in old.items() if key != "RenamedFrom"}
        if fate == "renamed":
            new |= {"Name": _fresh(draw, used), "RenamedFrom": old["Name"]}
        if fate == "other":
            new |= _other_form(draw, old, [row[old["Name"]] for row in rows])
        forms.append(new)
        for record, row in zip(made, rows, strict=True):
            record[new["Name"]] = row[old["Name"]]
    for _ in range(draw(st.integers(0, 2))):
        fresh = draw(properties(_fresh(draw, used)))
        forms.append(fresh)
        for record in made:
            record[fresh["Name"]] = DEFAULTS[fresh["Type"]] if fresh["Required"] else None
    return forms, made


def _other_form(draw: st.DrawFn, old: dict[str, Any], values: list[Any]) -> dict[str, Any]:
    """A wider or narrower type, as far as the values allow it."""
    form: dict[str, Any] = {"Required": draw(st.booleans()) and None not in values}
    held = [value for value in values if value is not None]
    if old["Type"] == "Number":
        fitting = [places for places in (0, 1, 2, 3) if all(round(value, places) == value for value in held)]
        form["DecimalPlaces"] = draw(st.sampled_from(fitting))
    if old["Type"] == "String":
        longest = max((len(value.encode("utf-16-le")) // 2 for value in held), default=0)
        form["Maximum"] = draw(st.sampled_from([None, max(longest, 1), 24, 100]))
    return form
