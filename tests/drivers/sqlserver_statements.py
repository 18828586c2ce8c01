"""Every kind of statement and change of tables that the product issues, built by its functions for SQL Server.

Pure. By file and title: the text and sample values. ``test_sqlserver_golden`` compares them.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import count
from typing import Any, NamedTuple, get_args

import msgspec
import sqlalchemy as sa

from apilane.control.statements import ControlStatements
from apilane.control.tables import CONTROL_TABLES
from apilane.model.conditions import condition_text, parse_condition
from apilane.model.definition import (
    ApplicationDefinition,
    Direction,
    Entity,
    ForeignKey,
    Index,
    OnDelete,
    Property,
    PropertyType,
    SortKey,
    Unique,
)
from apilane.model.filter import Group, Leaf, Logic, Node, Operator
from apilane.model.migration import Migration, Renames
from apilane.model.statistics import AggregateFunction, DatePart, GroupKey, Measure
from apilane.model.system import HELPER_TABLES, custom_entity, system_entities
from apilane.runtime import identities
from apilane.runtime.conditions import OtherTables
from apilane.services import application_tables, history_names, housekeeping
from apilane.sql import fitting, write
from apilane.sql.aggregate import AggregateShape, DistinctShape, select_aggregates, select_distinct
from apilane.sql.conditions import Condition, ConditionShape, bind_condition
from apilane.sql.expansion import Rights, select_referring, select_targets
from apilane.sql.filter import LeafShape, bind_filter
from apilane.sql.keyset import steps_after
from apilane.sql.script import read_script
from apilane.sql.select import ReadShape, count_records, select_records
from apilane.sql.statement import Statement, Value
from apilane.sql.tables import table_of
from apilane.storage.protocol import Result, ScriptStep
from apilane.testing.conformance.tables import ENTITIES, MAKERS, PARTS, THINGS
from apilane_sqlserver import connection, diagnosis, script, session
from apilane_sqlserver.dialect import SQLServerDialect

__all__ = ["Case", "files"]

DIALECT = SQLServerDialect()
TABLE = table_of(THINGS, DIALECT)
_SAMPLES: dict[type[Any], Value] = {
    sa.String: "text", sa.Boolean: True, sa.Integer: 1, sa.Numeric: Decimal("12.5"), sa.BigInteger: 1,
}  # fmt: skip
_TEXTS = {"hash", "token", "fold", "wanted", "name", "old", "new", "emailfold"}


class Case(NamedTuple):
    """``text`` with the values of its marks, in order."""

    title: str
    text: str
    values: tuple[Value, ...] = ()


def files() -> dict[str, list[Case]]:
    """Cases by the name of their file."""
    return {
        "records": list(_records()),
        "reading": list(_reading()),
        "filters": list(_filters()),
        "conditions": list(_conditions()),
        "statistics": list(_statistics()),
        "fitting": list(_fitting()),
        "control": list(_control()),
        "accounts": list(_accounts()),
        "upkeep": list(_upkeep()),
        "migrations": list(_migrations()),
        "driver": list(_driver()),
    }


def _sampled(title: str, statement: Statement, table: sa.Table = TABLE) -> Case:
    columns = {"".join(column.name).lower(): column for column in table.columns}
    return Case(title, statement.text, tuple(_sample(name, columns) for name in statement.order))


def _sample(name: str, columns: dict[str, sa.Column[Any]]) -> Value:
    plain = name.lower().removeprefix("new_")
    if plain in columns and name.lower() != "id":
        type = columns[plain].type
        return next(value for kind, value in _SAMPLES.items() if isinstance(type, kind))
    return "text" if name.lower() in _TEXTS else False if name == "reset_flag" else 1


def _records() -> Iterator[Case]:
    yield _sampled("insert", write.insert_row(TABLE, ("Name", "Count", "Price", "Active", "Made"), DIALECT))
    yield _sampled("insert with its own ID", write.insert_row(TABLE, ("ID", "Name"), DIALECT))
    yield _sampled("insert of defaults", write.insert_row(TABLE, (), DIALECT))
    yield Case("insert with a null", write.insert_row(TABLE, ("Name", "Note"), DIALECT).text, ("text", None))
    own = (("Sponsor", "owner"), ("Maker", None))
    yield _sampled("update one", write.update_row(TABLE, ("Name", "Price"), own, None, DIALECT))
    yield _sampled("update one, its flag goes", write.update_row(TABLE, ("Code",), (), ("Active", "Code"), DIALECT))
    yield _sampled("update some", write.update_where(TABLE, ("Count",), own, DIALECT))
    yield _sampled("read before writing", write.select_by_ids(TABLE, ("ID", "Name"), 3, own, DIALECT))
    yield _sampled("read what a write refers to", write.select_kept(TABLE, 2, own, DIALECT))
    yield _sampled("read some", write.select_where(TABLE, ("ID",), own, DIALECT))
    yield _sampled("delete by IDs", write.delete_by_ids(TABLE, 3, DIALECT))
    yield _sampled("delete some", write.delete_where(TABLE, own, DIALECT))
    yield _sampled("does a record exist", write.first_id_where(TABLE, (("Maker", "id"),), DIALECT))


def _reading() -> Iterator[Case]:
    columns = tuple(property.name for property in THINGS.properties)
    shapes = {
        "one record": ReadShape(columns, (("ID", "id"),)),
        "page in the default order": ReadShape(columns, paged=True),
        "page by two keys": ReadShape(("ID",), order=(SortKey("Name", Direction.DESC), SortKey("Made")), paged=True),
        "page by a key twice and ID": ReadShape(
            ("ID",), order=(SortKey("Name"), SortKey("Name"), SortKey("ID")), paged=True
        ),
        "page of the caller's records": ReadShape(("ID",), (("Sponsor", "owner"), ("Maker", None)), paged=True),
        "ordered, not paged": ReadShape(("ID",), order=(SortKey("Count"),)),
        **_read_on(),
    }
    first: tuple[str, ConditionShape] = ("w0_", LeafShape("Count", "equal", 1))
    second: tuple[str, ConditionShape] = ("w1_", LeafShape("Made", "less", 1))
    shapes["page under conditions of rules"] = ReadShape(
        ("ID", "Name"), (Condition((first, second)),), paged=True, masks=(("Name", Condition((first,))),)
    )
    yield _conditional("which conditions records meet", write.select_flags(TABLE, (first, None), 2, True, DIALECT))
    for title, shape in shapes.items():
        if shape.masks:
            yield _conditional(title, select_records(THINGS, TABLE, shape, DIALECT))
            continue
        yield _sampled(title, select_records(THINGS, TABLE, shape, DIALECT))
    own = Rights((("Sponsor", "owner"),))
    yield _sampled("related records", select_targets(TABLE, ("ID", "Name"), 2, own, dialect=DIALECT))
    order = [("Name", THINGS.properties[1], True), ("ID", THINGS.properties[0], False)]
    listed = select_referring(TABLE, ("ID", "Name"), ("Maker", 2), order, own, dialect=DIALECT)
    yield _sampled("records that refer to some", listed)
    yield _sampled("count", count_records(THINGS, TABLE, (), None, DIALECT))
    yield _sampled(
        "count of the caller's records", count_records(THINGS, TABLE, (("Sponsor", "owner"),), None, DIALECT)
    )


def _read_on() -> dict[str, ReadShape]:
    """Every step of reading on, for values and nulls."""
    shapes = {}
    for directions in ((Direction.ASC, Direction.DESC), (Direction.DESC, Direction.ASC)):
        keys = (*map(SortKey, ("Price", "Note"), directions), SortKey("ID"))
        for nulls in ((False, False, False), (True, False, False), (False, True, False)):
            for step in steps_after(THINGS, keys, nulls):
                shapes[f"read on {directions[0].lower()}, {nulls}: {step.step}"] = ReadShape(
                    ("ID",), order=keys[:2], paged=True, after=step
                )
    return shapes


def _conditional(title: str, statement: Statement) -> Case:
    return Case(title, statement.text, tuple(1 for _ in statement.order))


def _statistics() -> Iterator[Case]:
    functions = get_args(AggregateFunction)
    shapes = {
        f"every function of {name}": AggregateShape(tuple(Measure(name, each) for each in functions))
        for name in ("Count", "Price", "Made")
    }
    shapes["least and greatest of others"] = AggregateShape(
        tuple(
            Measure(name, each) for name in ("Active", "Note") for each in functions if each in {"count", "min", "max"}
        )
    )
    parts = tuple(GroupKey("Made", part) for part in get_args(DatePart))
    shapes["groups by every part of a date"] = AggregateShape((Measure("ID", "count"),), parts)
    shapes["groups of the caller's records, ascending"] = AggregateShape(
        (Measure("Price", "sum"), Measure("ID", "count")),
        (GroupKey("Active"), GroupKey("Note")),
        (("Sponsor", "owner"), ("Maker", None)),
        ascending=True,
    )
    for title, shape in shapes.items():
        yield _sampled(title, select_aggregates(THINGS, TABLE, shape, DIALECT))
    for name in ("Note", "Active"):
        yield _sampled(f"distinct values of {name}", select_distinct(THINGS, TABLE, DistinctShape(name), DIALECT))
    own = DistinctShape("Count", (("Sponsor", "owner"),))
    yield _sampled("distinct values of the caller's records", select_distinct(THINGS, TABLE, own, DIALECT))


_TEXT_VALUES = ("cup", "Émile", "ΣΊΣΥΦΟΣ", "@[_%", "", "x" * 4001)


def _leaf(name: str, operator: Operator, value: Any) -> Leaf:
    property = THINGS.property(name)
    if property is None:
        raise ValueError(name)
    return Leaf(property, operator, value)


def _filters() -> Iterator[Case]:
    texts = (
        Operator.EQUAL,
        Operator.NOTEQUAL,
        Operator.STARTSWITH,
        Operator.ENDSWITH,
        Operator.CONTAINS,
        Operator.NOTCONTAINS,
    )
    for operator in texts:
        for value in _TEXT_VALUES:
            shown = ascii(value) if len(value) < 100 else f"{len(value)} letters"
            yield _filter(f"Code {operator} {shown}", _leaf("Code", operator, value))
    ordering = (Operator.GREATER, Operator.GREATEROREQUAL, Operator.LESS, Operator.LESSOREQUAL)
    for operator in ordering:
        yield _filter(f"Code {operator} text", _leaf("Code", operator, "m"))
    for operator in (Operator.EQUAL, Operator.NOTEQUAL, *ordering):
        yield _filter(f"Count {operator} 2", _leaf("Count", operator, 2))
        yield _filter(f"Price {operator} 2.5", _leaf("Price", operator, Decimal("2.5")))
        yield _filter(f"Made {operator} date", _leaf("Made", operator, 4_102_444_800_000))
    for operator in (Operator.CONTAINS, Operator.NOTCONTAINS):
        yield _filter(f"Count {operator} list", _leaf("Count", operator, (1, 2, 3)))
        yield _filter(f"Count {operator} no list", _leaf("Count", operator, ()))
        yield _filter(f"Code {operator} list", _leaf("Code", operator, ("a", "É")))
    for operator in (Operator.EQUAL, Operator.NOTEQUAL):
        yield _filter(f"Note {operator} null", _leaf("Note", operator, None))
        yield _filter(f"Active {operator} true", _leaf("Active", operator, True))
        yield _filter(f"Active {operator} false", _leaf("Active", operator, False))
    some = Group(Logic.OR, (_leaf("Count", Operator.EQUAL, 1), _leaf("Code", Operator.EQUAL, "a")))
    yield _filter("groups", Group(Logic.AND, (some, _leaf("Active", Operator.EQUAL, True))))
    many = Group(Logic.OR, tuple(_leaf("Count", Operator.GREATER, n) for n in range(65)))
    yield _filter("more than 64 conditions", many)


def _filter(title: str, node: Node) -> Case:
    shape, values = bind_filter(node, DIALECT)
    statement = count_records(THINGS, TABLE, (), shape, DIALECT)
    return Case(title, statement.text, statement.parameters({f"f{at}": value for at, value in enumerate(values)}))


def _conditions() -> Iterator[Case]:
    """Conditions of rules over related rows and the caller's row, for lists and for rows found by ID."""
    rooms = custom_entity(
        "Rooms",
        (Property(name="Thing", type=PropertyType.Number, decimal_places=0), Property(name="Note")),
        differentiation_entity="Company",
    )
    constraints = (*rooms.constraints, ForeignKey(property="Thing", entity="Things"))
    rooms = msgspec.structs.replace(rooms, constraints=constraints)
    entities = (*system_entities("Company"), MAKERS, THINGS, rooms)
    tenants = ApplicationDefinition(token="", name="", differentiation_entity="Company", entities=entities)
    cases: dict[str, tuple[str, str, Any, bool]] = {
        "over a foreign key": ("Maker.Name", "equal", "cup", False),
        "rows that refer to it, of the tenant": ("Rooms(Thing).Owner", "equal", {"User": "ID"}, False),
        "rows that refer to it, without tenant": ("Rooms(Thing).Note", "equal", None, True),
        "over a reference to its own table": ("Whole.Active", "equal", True, False),
        "a text of the caller": ("Code", "equal", {"User": "Username"}, False),
        "a Boolean of the caller": ("Active", "notequal", {"User": "EmailConfirmed"}, False),
        "a Date of the caller": ("Made", "less", {"User": "LastLogin"}, False),
        "a related text and the caller's": ("Maker.Name", "equal", {"User": "Email"}, False),
    }
    for title, (property, operator, value, without_tenant) in cases.items():
        document = {"Property": property, "Operator": operator, "Value": value}
        tree = parse_condition(condition_text(document), tenants, THINGS)
        others = OtherTables(tenants, DIALECT)
        shape, _ = bind_condition(tree, DIALECT, others, without_tenant=without_tenant)
        listed = ReadShape(("ID",), (Condition((("w0_", shape),)),), paged=True)
        yield _conditional(title, select_records(THINGS, TABLE, listed, DIALECT))
        yield _conditional(f"{title}, by ID", write.select_flags(TABLE, (("w0_", shape),), 1, True, DIALECT))


def _fitting() -> Iterator[Case]:
    name, price, maker = TABLE.c["Name"], TABLE.c["Price"], TABLE.c["Maker"]
    makers = table_of(MAKERS, DIALECT)
    yield _sampled("count all", fitting.count_where(TABLE, None, DIALECT))
    yield _sampled("count nulls", fitting.count_where(TABLE, name.is_(None), DIALECT))
    yield _sampled("too long", fitting.values_after(TABLE, "Name", fitting.is_longer(name, DIALECT), DIALECT))
    yield _sampled("too many decimals", fitting.count_where(TABLE, fitting.has_more_decimals(price), DIALECT))
    yield _sampled(
        "refers to a missing record", fitting.ids_where(TABLE, fitting.leads_nowhere(maker, makers), DIALECT)
    )
    yield _sampled("refers to a new table", fitting.ids_where(TABLE, fitting.leads_nowhere(maker, None), DIALECT))
    yield _sampled(
        "refers to a missing record of its table",
        fitting.count_where(TABLE, fitting.leads_nowhere(TABLE.c["Whole"], TABLE), DIALECT),
    )
    yield _sampled("count duplicates", fitting.count_duplicates(TABLE, ("Kind", "Grade"), DIALECT))
    yield _sampled("first of each group", fitting.duplicate_firsts(TABLE, ("Kind", "Grade"), DIALECT))
    yield _sampled("records with equal values", fitting.equal_ids(TABLE, ("Kind", "Grade"), DIALECT))
    keys = ("Sponsor", "Kind")
    yield _sampled("count duplicates of a tenant", fitting.count_duplicates(TABLE, keys, DIALECT, tenant="Sponsor"))
    yield _sampled("equal values of a tenant", fitting.equal_ids(TABLE, keys, DIALECT, tenant="Sponsor"))


def _control() -> Iterator[Case]:
    statements = ControlStatements(DIALECT)
    columns = {
        "".join(column.name).lower(): column
        for entity in CONTROL_TABLES
        for column in table_of(entity, DIALECT).columns
    }
    for name, statement in sorted(vars(statements).items()):
        if isinstance(statement, Statement):
            yield Case(name, statement.text, tuple(_sample(parameter, columns) for parameter in statement.order))
    for number, text in enumerate(DIALECT.migrate(Migration((), CONTROL_TABLES, is_control=True)), 1):
        yield Case(f"tables {number}", text)


def users_property(name: str) -> Property:
    """A property of Users."""
    users = next(entity for entity in system_entities() if entity.name == "Users")
    return next(property for property in users.properties if property.name == name)


def _accounts() -> Iterator[Case]:
    """Sign-in, tokens, history and cleanup."""
    entities = {entity.name: entity for entity in (*system_entities(), *HELPER_TABLES)}
    users, tokens = table_of(entities["Users"], DIALECT), table_of(entities["AuthTokens"], DIALECT)
    history = table_of(entities["H_Entity_Change_Tracking"], DIALECT)
    mail = table_of(entities["H_Auth_Password_Reset_Tokens"], DIALECT)
    row = ("Email", "H_Email_Fold", "Username", "H_Username_Fold", "Password", "Created", "EmailConfirmed")
    yield _sampled("register", write.insert_row(users, row, DIALECT), users)
    sign_in = (("H_Email_Fold", "wanted"),)
    yield _sampled("sign in", write.select_where(users, ("ID", "Password"), sign_in, DIALECT), users)
    yield _sampled("last login", write.update_where(users, ("LastLogin",), (("ID", "id"),), DIALECT), users)
    yield _sampled("password, held", write.select_by_ids(users, ("Password",), 1, (), DIALECT), users)
    token = ("Token", "Owner", "Created", "H_Token_Hash")
    yield _sampled("token", write.insert_row(tokens, token, DIALECT), tokens)
    yield _sampled("token by hash", write.select_where(tokens, ("ID",), (("H_Token_Hash", "hash"),), DIALECT), tokens)
    yield _sampled("sign out", write.delete_where(tokens, (("ID", "id"),), DIALECT), tokens)
    email = Leaf(users_property("Email"), Operator.EQUAL, "ann@example.com")
    shape, values = bind_filter(email, DIALECT)
    found = count_records(entities["Users"], users, (), shape, DIALECT)
    yield Case("filter by e-mail", found.text, found.parameters({"f0": values[0]}))
    yield _sampled("mail token by hash", write.select_where(mail, ("Owner",), (("Token", "hash"),), DIALECT), mail)
    snapshot = ("Entity", "RecordID", "Owner", "Data", "Created")
    yield _sampled("history", write.insert_row(history, snapshot, DIALECT), history)
    yield _sampled("expired ones", housekeeping.first_older(tokens, dialect=DIALECT), tokens)
    yield _sampled("sweep", housekeeping.delete_older(tokens, dialect=DIALECT), tokens)
    yield _sampled(
        "table version", write.select_where(table_of(entities["H_Schema"], DIALECT), ("Version",), (), DIALECT)
    )


def _upkeep() -> Iterator[Case]:
    """Tokens with their users, the tables' version and first rows, the history under new names."""
    tokens = table_of(next(entity for entity in system_entities() if entity.name == "AuthTokens"), DIALECT)
    for title, statement in identities._statements(DIALECT, None)._asdict().items():
        case = _sampled(f"identity {title.replace('_', ' ')}", statement, tokens)
        yield case._replace(values=(7,)) if title == "by_id" else case
    steps = [*application_tables._first_rows(DIALECT, 1), application_tables._version_row(DIALECT, 2)]
    yield from (Case(f"version {at}", each.statement.text, tuple(each.parameters)) for at, each in enumerate(steps, 1))
    name = msgspec.structs.replace(MAKERS.properties[1], name="Title")
    after = Entity(name="Producers", properties=(MAKERS.properties[0], name))
    renames = Renames(entities={"Producers": "Makers"}, properties={("Producers", "Title"): "Name"})
    unit = history_names.rename_history(Migration((MAKERS,), (after,), renames), DIALECT)
    pages = [Result(rows=[(7, "Makers", '{"Name":"x"}')])]
    step = next(unit)
    for at in count(1):
        yield Case(f"history {at}", step.statement.text, tuple(step.parameters))
        try:
            step = unit.send(pages.pop() if pages else Result())
        except StopIteration:
            return


# Changes of tables.


def _changed(entity: Entity, name: str, **values: Any) -> Entity:
    properties = (msgspec.structs.replace(p, **values) if p.name == name else p for p in entity.properties)
    return msgspec.structs.replace(entity, properties=tuple(properties))


def _with(entity: Entity, *properties: Property, **more: Any) -> Entity:
    return msgspec.structs.replace(entity, properties=(*entity.properties, *properties), **more)


def _migrations() -> Iterator[Case]:
    thing = Property(name="Thing", type=PropertyType.Number, decimal_places=0)
    new = (
        Property(name="Text"),
        Property(name="Need", required=True, maximum=50),
        Property(name="Amount", type=PropertyType.Number, decimal_places=2, required=True),
        Property(name="Flag", type=PropertyType.Boolean, required=True),
        Property(name="Due", type=PropertyType.Date),
        Property(name="Secret", encrypted=True, maximum=20),
    )
    renamed = msgspec.structs.replace(MAKERS, name="Producers")
    keys = {"Maker": "Producers", "Sponsor": "Producers"}
    constraints = tuple(
        msgspec.structs.replace(c, entity=keys.get(c.property, c.entity)) if isinstance(c, ForeignKey) else c
        for c in THINGS.constraints
    )
    referring = msgspec.structs.replace(THINGS, constraints=constraints)
    name = msgspec.structs.replace(MAKERS.properties[1], name="Title")
    titled = Entity(
        name="Makers", properties=(MAKERS.properties[0], name), constraints=(Unique(properties=("Title",)),)
    )
    named = _with(MAKERS, constraints=(Unique(properties=("Name",)),))
    left, right = Property(name="Left", maximum=50), Property(name="Right", maximum=50, required=True)
    pairs = Entity(name="Pairs", properties=(MAKERS.properties[0], left, right))
    swapped = Entity(
        name="Pairs",
        properties=(
            MAKERS.properties[0],
            msgspec.structs.replace(right, name="Left"),
            msgspec.structs.replace(left, name="Right"),
        ),
    )
    seconds = msgspec.structs.replace(pairs, name="Seconds")
    long = Entity(
        name="E" * 90,
        properties=(MAKERS.properties[0], Property(name="P" * 60, maximum=10), Property(name="Q" * 60, required=True)),
        constraints=(Unique(properties=("P" * 60,)),),
    )
    gone = msgspec.structs.replace(PARTS, constraints=(ForeignKey(property="Thing", entity="Things"),))
    users = next(entity for entity in system_entities() if entity.name == "Users")
    code = Property(name="Code", maximum=50)
    wares = custom_entity("Wares", (code,), differentiation_entity="Company")
    apart = _with(wares, constraints=(*wares.constraints, Unique(properties=("Code",), per_tenant=True)))
    cases: dict[str, Migration] = {
        "the first tables": Migration((), (*system_entities(), *HELPER_TABLES)),
        "new tables": Migration((), (MAKERS, THINGS, PARTS)),
        "nothing": Migration(ENTITIES, ENTITIES),
        "unique per tenant": Migration((wares,), (apart,)),
        "no longer unique per tenant": Migration((apart,), (wares,)),
        "new properties": Migration((MAKERS,), (_with(MAKERS, *new),)),
        "properties are dropped": Migration((_with(MAKERS, *new),), (MAKERS,)),
        "a property of Users": Migration((users,), (_with(users, Property(name="Nick", maximum=40)),)),
        "a table is dropped": Migration((MAKERS, THINGS, PARTS), (MAKERS, THINGS)),
        "tables that refer to each other are dropped": Migration((MAKERS, THINGS, PARTS), ()),
        "a reference is added": Migration(
            (MAKERS, _with(MAKERS, thing, name="Others")),
            (MAKERS, _with(MAKERS, thing, name="Others", constraints=(ForeignKey(property="Thing", entity="Makers"),))),
        ),
        "another delete logic": Migration((MAKERS, THINGS, PARTS), (MAKERS, THINGS, gone)),
        "set null": Migration(
            (MAKERS, THINGS, PARTS),
            (
                MAKERS,
                THINGS,
                _changed(
                    msgspec.structs.replace(
                        PARTS,
                        constraints=(ForeignKey(property="Thing", entity="Things", on_delete=OnDelete.SetNull),),
                    ),
                    "Thing",
                    required=False,
                ),
            ),
        ),
        "optional": Migration((MAKERS,), (_changed(MAKERS, "Name", required=False),)),
        "required": Migration((_changed(named, "Name", required=False),), (named,)),
        "longer": Migration((named,), (_changed(named, "Name", maximum=200),)),
        "no maximum": Migration((MAKERS,), (_changed(MAKERS, "Name", maximum=None),)),
        "more decimals": Migration((MAKERS, THINGS), (MAKERS, _changed(THINGS, "Price", decimal_places=3))),
        "a unique constraint is added": Migration((MAKERS,), (named,)),
        "a unique constraint is dropped": Migration((named,), (MAKERS,)),
        "an index is added": Migration((MAKERS,), (_with(MAKERS, indexes=(Index(("Name",)),)),)),
        "an entity is renamed": Migration(
            (MAKERS, THINGS), (renamed, referring), Renames(entities={"Producers": "Makers"})
        ),
        "a property is renamed": Migration((named,), (titled,), Renames(properties={("Makers", "Title"): "Name"})),
        "a property changes its case": Migration(
            (MAKERS,),
            (Entity(name="Makers", properties=(MAKERS.properties[0], msgspec.structs.replace(name, name="NAME"))),),
            Renames(properties={("Makers", "NAME"): "Name"}),
        ),
        "properties swap their names": Migration(
            (pairs,), (swapped,), Renames(properties={("Pairs", "Left"): "Right", ("Pairs", "Right"): "Left"})
        ),
        "entities swap their names": Migration(
            (pairs, seconds), (pairs, seconds), Renames(entities={"Pairs": "Seconds", "Seconds": "Pairs"})
        ),
        "names that are too long": Migration((), (long,)),
        "an entity as the product makes it": Migration(
            (), (custom_entity("Orders", (Property(name="Title", maximum=100),), differentiation_entity=None),)
        ),
    }
    for title, migration in cases.items():
        texts = DIALECT.migrate(migration)
        if not texts:
            yield Case(f"{title}: no statement", "")
        for number, text in enumerate(texts, 1):
            yield Case(f"{title} {number}", text)


def _driver() -> Iterator[Case]:
    """The driver's own statements."""
    for name in ("SETTINGS", "BEGIN", "COMMIT", "ROLLBACK"):
        yield Case(name.lower(), getattr(connection, name))
    yield Case("columns of an index", connection.COLUMNS_OF_INDEX, ("[dbo].[Things]", "UNIQUE_Things_Code"))
    yield Case("columns of a reference", connection.COLUMNS_OF_REFERENCE, ("FOREIGN_KEY_Things_Maker_Makers",))
    yield Case("lock", session.TAKE_LOCK, ("changes",))
    yield Case("unlock", session.FREE_LOCK, ("changes",))
    yield Case("diagnosis", diagnosis.LOOK)
    yield Case("who am I", script.WHO)
    scripts = {
        "script": ("SELECT 1 AS [One]", {}),
        "script with marks": (
            "SELECT * FROM [Things] WHERE [ID] = {ID} AND [Name] = {Name} AND {Nothing} IS NULL; SELECT '{ID}'",
            {"ID": 5, "Name": "o'x", "Nothing": None},
        ),
    }
    for title, (text, values) in scripts.items():
        yield Case(title, *script.batch(ScriptStep(read_script(text, DIALECT), values)))
