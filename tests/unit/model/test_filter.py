"""The filter parameter: its meaning, the properties a caller may use, and refusals."""

from __future__ import annotations

import contextlib
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apilane.errors import ApilaneError, Code
from apilane.model.definition import Entity
from apilane.model.filter import MAX_DEPTH, MAX_LEAVES, Group, Leaf, Logic, Node, Operator, parse_filter
from apilane.model.system import system_entities

ALIASES = {
    Operator.EQUAL: [0, "0", "equal", "EQUAL", "eq", "==", "="],
    Operator.NOTEQUAL: [1, "NotEqual", "neq", "!=", "<>"],
    Operator.GREATER: [2, "greater", "g", "G", ">"],
    Operator.GREATEROREQUAL: [3, "greaterOrEqual", "ge", ">="],
    Operator.LESS: [4, "less", "l", "<"],
    Operator.LESSOREQUAL: [5, "lessorequal", "LE", "<="],
    Operator.STARTSWITH: [6, "startsWith", "sw"],
    Operator.ENDSWITH: [7, "endswith", "ew"],
    Operator.CONTAINS: [8, "contains", "like"],
    Operator.NOTCONTAINS: [9, "notcontains", "nc"],
}


def leaf(name: str, operator: object, value: object = None, **more: object) -> dict[str, object]:
    """One condition in JSON form."""
    return {"Property": name, "Operator": operator, "Value": value, **more}


@pytest.fixture
def parse(products: Entity, readable: frozenset[str]) -> Any:
    """Parse a document, or a text as it is, for Products."""

    def parse(document: object) -> Node | None:
        text = document if isinstance(document, str) else json.dumps(document)
        return parse_filter(text, products, readable)

    return parse


def parsed_leaf(parse: Any, *arguments: object) -> tuple[str, str, object]:
    """Name, operator and value of a filter that is one leaf."""
    node = parse(leaf(*arguments))  # type: ignore[arg-type]
    assert isinstance(node, Leaf)
    return node.property.name, node.operator.value, node.value


def refused(parse: Any, document: object, code: Code = Code.INVALID_FILTER_PARAMETER) -> str:
    """The error message for a filter."""
    with pytest.raises(ApilaneError) as caught:
        parse(document)
    assert (caught.value.code, caught.value.property, caught.value.entity) == (code, None, "Products")
    return caught.value.message


@pytest.mark.better("B-Q1")
@pytest.mark.parametrize(("operator", "word"), [(o, word) for o, words in ALIASES.items() for word in words])
def test_operators_by_name_alias_and_ordinal(parse: Any, operator: Operator, word: object) -> None:
    """Every name, alias and ordinal, in any letter case, selects its operator (B-Q1)."""
    assert parsed_leaf(parse, "Title", word, "x") == ("Title", operator.value, "x")


@pytest.mark.better("B-Q14")
def test_names_and_keys_ignore_letter_case(parse: Any) -> None:
    """Keys and properties match in any letter case and get the schema's spelling; unknown keys are ignored."""
    node = parse({"property": "tITLE", "OPERATOR": "Equal", "vAlue": "x", "extra": {}, "Logic": None, "Filters": None})
    assert node == parse(leaf("Title", "equal", "x"))
    assert node.property.name == "Title"


@pytest.mark.parametrize("text", ["", " ", "\n", "null", " null "])
def test_no_filter(parse: Any, text: str) -> None:
    """A blank parameter and JSON null set no condition."""
    assert parse(text) is None


@pytest.mark.better("B-Q2")
@pytest.mark.parametrize(
    ("logic", "meaning"),
    [("AND", "AND"), ("or", "OR"), ("Or", "OR"), (0, "AND"), (1, "OR"), ("1", "OR"), (None, "AND")],
)
def test_logic(parse: Any, logic: object, meaning: str) -> None:
    """Logic is read in any letter case or as 0 and 1; without it AND is used (B-Q2)."""
    conditions = [leaf("Title", "equal", "x"), leaf("Stock", "equal", 1)]
    node = parse({"Logic": logic, "Filters": conditions})
    assert isinstance(node, Group)
    assert node.logic == meaning
    assert parse({"Filters": conditions}).logic is Logic.AND


def test_groups_nest(parse: Any) -> None:
    """A group inside a group keeps its logic and its position."""
    node = parse(
        {
            "Logic": "OR",
            "Filters": [
                leaf("Price", "greaterorequal", 100),
                {"Logic": "AND", "Filters": [leaf("Title", "contains", "desk"), leaf("InStock", "equal", True)]},
            ],
        }
    )
    outer, inner = node.items
    assert (node.logic, outer.value, inner.logic) == (Logic.OR, 100, Logic.AND)
    assert [item.value for item in inner.items] == ["desk", True]


@pytest.mark.better("B-Q2")
@pytest.mark.parametrize(
    "document",
    [{"Filters": []}, {"Logic": "OR", "Filters": []}, {"Filters": [{"Filters": []}, {"Logic": "OR", "Filters": []}]}],
)
def test_empty_groups_are_no_condition(parse: Any, document: object) -> None:
    """A group without conditions, or with only empty groups, does not restrict (B-Q2)."""
    assert parse(document) is None


def test_an_empty_group_does_not_change_its_siblings(parse: Any) -> None:
    """An empty group beside other conditions is omitted."""
    assert parse({"Logic": "OR", "Filters": [{"Filters": []}, leaf("Stock", "equal", 1)]}) == parse(
        {"Logic": "OR", "Filters": [leaf("Stock", "equal", 1)]}
    )


def test_a_node_with_filters_and_property(parse: Any) -> None:
    """With filters and property the group is used, but the property is checked; with empty filters the leaf is."""
    conditions = [leaf("Stock", "equal", 1)]
    assert parse(leaf("Title", "equal", "x", Filters=conditions)) == parse({"Filters": conditions})
    assert parse(leaf("Title", "equal", "x", Filters=[])) == parse(leaf("Title", "equal", "x"))
    assert refused(parse, leaf("Nope", "equal", "x", Filters=conditions)).startswith("Invalid filter parameter: ")
    assert "not allowed" in refused(parse, leaf("Margin", "equal", 1, Filters=conditions))


@pytest.mark.parametrize("document", [{}, {"Logic": "AND"}, {"Filters": None}, {"x": 1}, {"Filters": [{}]}])
def test_a_node_without_property_and_filters(parse: Any, document: object) -> None:
    """A node without property and filters is ERROR with the default message."""
    assert refused(parse, document, Code.ERROR).startswith("Something went wrong: ")


@pytest.mark.parametrize("document", [{"Property": "Title"}, {"Property": "Title", "Operator": None, "Value": "x"}])
def test_a_leaf_without_operator(parse: Any, document: object) -> None:
    """A leaf without operator is ERROR with the default message."""
    assert refused(parse, document, Code.ERROR).startswith("Something went wrong: ")


@pytest.mark.parametrize(
    "document",
    [
        "x=1",
        "{",
        "1",
        '"text"',
        "true",
        "[]",
        '[{"Property":"Title","Operator":"equal","Value":"x"}]',
        '"\ud800"',
        "[" * 5000,
        '{"Filters":' * 101 + "[]" + "}" * 101,
        leaf("Nope", "equal", 1),
        leaf("", "equal", 1),
        {"Property": 5, "Operator": "equal", "Value": 1},
        leaf("Title", "nope", "x"),
        leaf("Title", 10, "x"),
        leaf("Title", -1, "x"),
        leaf("Title", 1.5, "x"),
        leaf("Title", True, "x"),
        leaf("Title", [], "x"),
        {"Logic": "XOR", "Filters": [leaf("Stock", "equal", 1)]},
        {"Logic": 2, "Filters": [leaf("Stock", "equal", 1)]},
        {"Logic": True, "Filters": [leaf("Stock", "equal", 1)]},
        {"Filters": {}},
        {"Filters": "x"},
        {"Filters": [1]},
        {"Filters": [None]},
        {"Filters": [leaf("Stock", "equal", 1), leaf("Nope", "equal", 1)]},
    ],
)
def test_malformed_filters(parse: Any, document: object) -> None:
    """Invalid JSON, another JSON kind, unknown properties, operators and logic get the default message."""
    assert refused(parse, document).startswith("Invalid filter parameter: ")


def nested(depth: int, inner: object) -> object:
    """A condition inside ``depth`` groups."""
    for _ in range(depth):
        inner = {"Logic": "OR", "Filters": [inner]}
    return inner


@pytest.mark.better("B-Q2")
def test_depth_is_limited(parse: Any) -> None:
    """Twenty nested groups are accepted, one more is refused (B-Q2)."""
    assert parse(nested(MAX_DEPTH, leaf("Stock", "equal", 1))) is not None
    assert "20" in refused(parse, nested(MAX_DEPTH + 1, leaf("Stock", "equal", 1)))


@pytest.mark.better("B-Q2")
def test_leaves_are_limited(parse: Any) -> None:
    """Five hundred conditions at any level are accepted, one more is refused; texts of a list count (B-Q2)."""
    many = [leaf("Stock", "equal", n) for n in range(MAX_LEAVES)]
    assert len(parse({"Filters": many}).items) == MAX_LEAVES
    assert "500" in refused(parse, {"Filters": [*many, leaf("Stock", "equal", 1)]})
    assert "500" in refused(parse, {"Filters": [{"Filters": many}, {"Filters": many}]})
    texts = [str(n) for n in range(MAX_LEAVES)]
    assert len(parse(leaf("Title", "contains", texts)).value) == MAX_LEAVES
    assert "500" in refused(parse, leaf("Title", "contains", [*texts, "x"]))
    assert len(parse(leaf("Stock", "contains", ",".join([*texts, "999"]))).value) == MAX_LEAVES + 1


@pytest.mark.better("B-S2")
@pytest.mark.parametrize("name", ["Margin", "margin", "MARGIN"])
@pytest.mark.parametrize("rest", [("equal", 1), ("equal", None), ("nope", 1), (None, 1), ("startswith", [])])
def test_disallowed_properties(parse: Any, name: str, rest: tuple[object, object]) -> None:
    """A property that the caller may not read is refused by name at every level, before other errors (B-S2)."""
    bad = leaf(name, *rest)
    good = leaf("Title", "equal", "x")
    message = "Property 'Margin' is not allowed on this filter"
    for document in (bad, {"Filters": [bad, good]}, {"Filters": [good, {"Logic": "OR", "Filters": [good, bad]}]}):
        assert refused(parse, document) == message


def test_id_is_always_allowed(products: Entity) -> None:
    """A caller who may read no other property can still filter by ID."""
    node = parse_filter('{"Property":"id","Operator":"=","Value":5}', products, frozenset())
    assert isinstance(node, Leaf)
    assert node.property.name == "ID"


@pytest.mark.better("B-D3", "B-D4")
@pytest.mark.parametrize(("entity", "name"), [("Users", "Password"), ("AuthTokens", "Token")])
@pytest.mark.parametrize("value", [None, "x"])
def test_secrets_are_never_filtered(entity: str, name: str, value: object) -> None:
    """Password and Token cannot be used in a filter by any caller, not even in a null test (B-D3, B-D4)."""
    definition = next(e for e in system_entities() if e.name == entity)
    with pytest.raises(ApilaneError) as caught:
        parse_filter(json.dumps(leaf(name.lower(), "equal", value)), definition, frozenset({name.lower()}))
    assert caught.value.message == f"Property '{name}' is not allowed on this filter"
    assert caught.value.entity == entity


@pytest.mark.better("B-Q5")
def test_encrypted_properties_take_null_tests_only(parse: Any) -> None:
    """An encrypted property can only be compared with null (B-Q5)."""
    assert parsed_leaf(parse, "Supplier", "equal", None) == ("Supplier", "equal", None)
    assert parsed_leaf(parse, "Supplier", "!=", None) == ("Supplier", "notequal", None)
    for operator in Operator:
        assert "encrypted" in refused(parse, leaf("Supplier", operator, "Acme"))
    assert "encrypted" in refused(parse, leaf("Supplier", "contains", ["Acme"]))


@pytest.mark.parametrize("name", ["Title", "Stock", "InStock", "Released"])
def test_null_goes_with_equal_and_notequal(parse: Any, name: str) -> None:
    """Null tests exist for every type; an absent value is null; other operators need a value."""
    assert parsed_leaf(parse, name, "equal") == (name, "equal", None)
    assert parse({"Property": name, "Operator": "notequal"}).value is None
    assert name in refused(parse, leaf(name, "greater", None))
    assert name in refused(parse, leaf(name, "contains", None))


@pytest.mark.better("B-E4")
@pytest.mark.parametrize(
    ("name", "operator"),
    [
        *[("Stock", o) for o in ("startswith", "endswith")],
        *[("Released", o) for o in ("startswith", "endswith", "contains", "notcontains")],
        *[("InStock", o) for o in Operator if o not in {Operator.EQUAL, Operator.NOTEQUAL}],
    ],
)
def test_operators_that_do_not_fit_the_type(parse: Any, name: str, operator: str) -> None:
    """An operator that does not fit the type is INVALID_FILTER_PARAMETER; the message names what fits (B-E4)."""
    message = refused(parse, leaf(name, operator, "1"))
    assert operator in message
    assert name in message
    assert "equal, notequal" in message


@pytest.mark.better("B-Q4")
@pytest.mark.parametrize(
    ("name", "operator", "value", "meaning"),
    [
        ("Title", "equal", "  a b ", "a b"),
        ("Title", "equal", "", ""),
        ("Title", "equal", 5, "5"),
        ("Title", "less", 1.50, "1.5"),
        ("Title", "equal", True, "True"),
        ("Title", "equal", False, "False"),
        ("Title", "contains", "a,b", "a,b"),
        ("Title", "contains", ["a", " b ", 5, True, "a"], ("a", "b", "5", "True")),
        ("Title", "notcontains", [], ()),
        ("Stock", "equal", 5, 5),
        ("Stock", "equal", " 5.0 ", 5),
        ("Stock", "equal", "5e2", 500),
        ("Stock", "greater", 1.5, Decimal("1.5")),
        ("Stock", "greater", -0.0, 0),
        ("Stock", "contains", "1, 2,3 ,2", (1, 2, 3)),
        ("Stock", "contains", 7, (7,)),
        ("Stock", "contains", [1, "2.5", 3.0], (1, Decimal("2.5"), 3)),
        ("Stock", "notcontains", [], ()),
        ("Stock", "contains", "", ()),
        ("Stock", "less", 10**40, Decimal("1E+19")),
        ("Stock", "greater", -(10**40), Decimal("-1E+19")),
        ("Stock", "less", 2**63 - 1, 2**63 - 1),
        ("Stock", "less", "1e999999999", Decimal("1E+19")),
        ("Price", "greater", "1e-999999999", Decimal("1e-9")),
        ("Price", "greater", "-1e-999999999", Decimal("-1e-9")),
        ("Price", "less", "0.1234567899999", Decimal("0.123456789")),
        ("InStock", "equal", True, True),
        ("InStock", "equal", "on", True),
        ("InStock", "equal", 1, True),
        ("InStock", "notequal", "0", False),
        ("InStock", "equal", "whatever", False),
        ("Released", "greater", "2026-01-31", 1769817600000),
        ("Released", "less", 1769817600, 1769817600000),
        ("Released", "equal", "2026-01-31T00:00:00Z", 1769817600000),
    ],
)
def test_values_are_read_by_type(parse: Any, name: str, operator: str, value: object, meaning: object) -> None:
    """Values are read by type: text, bounded numbers, booleans, milliseconds, lists of distinct items."""
    got = parsed_leaf(parse, name, operator, value)[2]
    assert got == meaning
    assert type(got) is type(meaning)


@pytest.mark.better("B-E4", "B-Q4")
@pytest.mark.parametrize(
    ("name", "operator", "value"),
    [
        ("Title", "equal", ["x"]),
        ("Title", "startswith", []),
        ("Title", "equal", {}),
        ("Title", "contains", [None]),
        ("Title", "contains", [["x"]]),
        ("Title", "equal", "a\0b"),
        ("Stock", "equal", "abc"),
        ("Stock", "equal", "1,5"),
        ("Stock", "equal", ""),
        ("Stock", "equal", True),
        ("Stock", "equal", [1]),
        ("Stock", "equal", {}),
        ("Stock", "contains", "1,,2"),
        ("Stock", "contains", "1,x"),
        ("Stock", "contains", "1,2,"),
        ("Stock", "contains", [1, None]),
        ("Stock", "contains", [True]),
        ("Stock", "contains", ["1,2"]),
        ("Stock", "contains", True),
        ("Stock", "equal", "1) or (1=1"),
        ("InStock", "equal", []),
        ("InStock", "equal", {}),
        ("Released", "equal", "yesterday"),
        ("Released", "equal", ""),
        ("Released", "equal", True),
        ("Released", "equal", ["2026-01-31"]),
        ("Released", "equal", 10**30),
    ],
)
def test_values_that_do_not_fit_the_type(parse: Any, name: str, operator: str, value: object) -> None:
    """A value that does not fit the type is INVALID_FILTER_PARAMETER with property and operator (B-E4)."""
    message = refused(parse, leaf(name, operator, value))
    assert name in message
    assert operator in message


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["Title", "Stock", "margin", "equal", "=", "contains", "OR", "1,2", "2026-01-31", "1e999999999"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Property", "operator", "Value", "Logic", "Filters", "x"]), inner, max_size=5
        )
    ),
    max_leaves=12,
)


@given(values.map(json.dumps) | st.text())
def test_any_text_is_parsed_or_refused(products: Entity, readable: frozenset[str], text: str) -> None:
    """Any text is parsed or raises ApilaneError."""
    with contextlib.suppress(ApilaneError):
        parse_filter(text, products, readable)


POSSIBLE = "possible: equal, notequal, greater, greaterorequal, less, lessorequal, contains, notcontains"


@pytest.mark.better("B-E8")
@pytest.mark.parametrize(
    ("document", "detail"),
    [
        (leaf("Stock", "gt", 1), f"unknown operator 'gt'; {POSSIBLE} (did you mean 'greater'?)"),
        (leaf("Stock", "GreaterThan", 1), f"unknown operator 'GreaterThan'; {POSSIBLE} (did you mean 'greater'?)"),
        (leaf("Stock", 77, 1), f"unknown operator a number; {POSSIBLE}"),
        (leaf("Stock", ["x"], 1), f"unknown operator an array; {POSSIBLE}"),
        (leaf("Stock", "s3cret-password", 1), f"unknown operator a text; {POSSIBLE}"),
        (leaf("Supplier", "xyz", 1), "unknown operator 'xyz'; possible: equal, notequal"),
        ({"Logic": "xor", "Filters": [leaf("Stock", "equal", 1)]}, "unknown logic 'xor'; possible: AND, OR"),
        ({"Filters": {}}, "Filters must be an array, found an object"),
        (leaf(5, "equal", 1), "Property must be a name, found a number"),
        ([], "a filter is an object with Property, Operator and Value, or with Logic and Filters, found an array"),
    ],
)
def test_what_was_found_and_what_is_possible(parse: Any, document: object, detail: str) -> None:
    """The default message continues with the found value, the possible ones and the nearest one (B-E8)."""
    assert refused(parse, document) == f"Invalid filter parameter: {detail}"


@pytest.mark.better("B-E8", "B-S2")
def test_only_readable_names_are_possible(products: Entity, readable: frozenset[str]) -> None:
    """An unknown property lists the ones that the caller may read, and suggests no other (B-E8, B-S2)."""
    with pytest.raises(ApilaneError) as caught:
        parse_filter(json.dumps(leaf("Stok", "equal", 1)), products, readable)
    assert caught.value.message.startswith("Invalid filter parameter: unknown property 'Stok'; possible: ")
    assert caught.value.message.endswith(" (did you mean 'Stock'?)")
    with pytest.raises(ApilaneError) as caught:
        parse_filter(json.dumps(leaf("Margn", "equal", 1)), products, readable)
    assert "Margin" not in caught.value.message
    with pytest.raises(ApilaneError) as caught:
        parse_filter(json.dumps(leaf("Margn", "equal", 1)), products, frozenset())
    assert caught.value.message == "Invalid filter parameter: unknown property 'Margn'; possible: ID"


@pytest.mark.better("B-E8")
def test_where_the_json_is_broken(products: Entity, readable: frozenset[str]) -> None:
    """The place of the error in broken JSON is named; its text may be secret and is not cited (B-E8)."""
    for text, place in (('{"Property"', "truncated"), ("[1,]" + "\n" * 99, "byte 3")):
        with pytest.raises(ApilaneError) as caught:
            parse_filter(text, products, readable)
        message = caught.value.message
        assert message.startswith("Invalid filter parameter: a filter is an object with Property")
        assert place in message
        assert message.isprintable()
        assert len(message) < 300


@pytest.mark.better("B-E8")
@pytest.mark.parametrize("size", [61, 1_000_000])
def test_long_values_are_shortened_quickly(products: Entity, readable: frozenset[str], size: int) -> None:
    """A long name or operator is shortened in the message, and compared with no name (B-E8)."""
    for document in (leaf("x" * size, "equal", 1), leaf("Stock", "x" * size, 1), {"x" * size: 1}):
        with pytest.raises(ApilaneError) as caught:
            parse_filter(json.dumps(document), products, readable)
        assert len(caught.value.message) < 400
        assert "did you mean" not in caught.value.message
