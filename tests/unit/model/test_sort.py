"""The sort and properties parameters."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apilane.errors import ApilaneError, Code
from apilane.model.definition import Direction, Entity, SortKey
from apilane.model.sort import BY_ID, parse_properties, parse_sort
from apilane.model.system import system_entities

PRICE_DESC, TITLE_ASC = SortKey("Price", Direction.DESC), SortKey("Title", Direction.ASC)


@pytest.mark.parametrize("text", [None, "", " ", "\t"])
def test_blank_means_the_default_order(products: Entity, readable: frozenset[str], text: str | None) -> None:
    """A blank or absent parameter selects the entity's default order."""
    assert parse_sort(text, products, readable) is None


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ('{"Property":"Price","Direction":"DESC"}', (PRICE_DESC,)),
        ('{"property":"pRICE","DIRECTION":"desc","x":1}', (PRICE_DESC,)),
        ('[{"Property":"Price","Direction":"DESC"},{"Property":"Title","Direction":"ASC"}]', (PRICE_DESC, TITLE_ASC)),
        ('{"Property":"Title","Direction":"down"}', (TITLE_ASC,)),
        ('{"Property":"Title","Direction":""}', (TITLE_ASC,)),
        ('{"Property":"Title","Direction":null}', (TITLE_ASC,)),
        ('{"Property":"Title","Direction":1}', (TITLE_ASC,)),
        ('{"Property":"Nope","Direction":"ASC"}', BY_ID),
        ('{"Property":"","Direction":"ASC"}', BY_ID),
        ('[{"Property":"Nope","Direction":"ASC"},{"Property":"Title","Direction":"ASC"}]', (TITLE_ASC,)),
        ("[]", BY_ID),
        ("null", BY_ID),
        ("1", BY_ID),
        ('"Title"', BY_ID),
        ("true", BY_ID),
        ('{"Property":"id","Direction":"desc"}', (SortKey("ID", Direction.DESC),)),
    ],
)
def test_sort_keys(products: Entity, readable: frozenset[str], text: str, keys: tuple[SortKey, ...]) -> None:
    """Keys keep their order and get the schema's spelling; unknown ones are dropped; the default is ID ascending."""
    assert parse_sort(text, products, readable) == keys


@pytest.mark.better("B-S2", "B-Q5")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", "Misconfigured json parameter 'sort'"),
        ("{", "Misconfigured json parameter 'sort'"),
        ("[" * 5000, "Misconfigured json parameter 'sort'"),
        ("\ud800", "Misconfigured json parameter 'sort'"),
        ("{}", "Misconfigured json parameter 'sort'"),
        ('{"Property":"Title"}', "Misconfigured json parameter 'sort'"),
        ('{"Direction":"ASC"}', "Misconfigured json parameter 'sort'"),
        ('[{"Property":"Title","Direction":"ASC"},{}]', "Misconfigured json parameter 'sort'"),
        ('["Title"]', "Misconfigured json parameter 'sort'"),
        ("[[]]", "Misconfigured json parameter 'sort'"),
        ('{"Property":5,"Direction":"ASC"}', "Misconfigured json parameter 'sort'"),
        ("[null]", "Invalid sort parameter"),
        ('{"Property":null,"Direction":"ASC"}', "Invalid sort parameter"),
        ('{"Property":"mARGIN","Direction":"ASC"}', "Invalid sort parameter. Property 'mARGIN' is not allowed"),
        (
            '[{"Property":"Title","Direction":"ASC"},{"Property":"Margin","Direction":"ASC"}]',
            "Invalid sort parameter. Property 'Margin' is not allowed",
        ),
        (
            '{"Property":"Supplier","Direction":"ASC"}',
            "Invalid sort parameter. Property 'Supplier' is encrypted and has no order",
        ),
    ],
)
def test_refused_sorts(products: Entity, readable: frozenset[str], text: str, message: str) -> None:
    """Malformed, forbidden and encrypted sorts are INVALID_SORT_PARAMETER with the protocol's messages (B-S2, B-Q5)."""
    with pytest.raises(ApilaneError) as caught:
        parse_sort(text, products, readable)
    error = caught.value
    assert (error.code, error.property) == (Code.INVALID_SORT_PARAMETER, None)
    assert error.message == message or error.message.startswith(f"{message}: ")
    assert error.entity == "Products"


@pytest.mark.better("B-D3", "B-D4")
@pytest.mark.parametrize(("entity", "name"), [("Users", "Password"), ("AuthTokens", "Token")])
def test_secrets_are_never_sorted_by(entity: str, name: str) -> None:
    """No caller can sort by Password or Token (B-D3, B-D4)."""
    definition = next(e for e in system_entities() if e.name == entity)
    with pytest.raises(ApilaneError, match="not allowed"):
        parse_sort(json.dumps({"Property": name, "Direction": "ASC"}), definition, frozenset({name.lower()}))


@given(st.text() | st.dictionaries(st.sampled_from(["Property", "Direction"]), st.none() | st.text()).map(json.dumps))
def test_any_text_is_parsed_or_refused(products: Entity, readable: frozenset[str], text: str) -> None:
    """Any text is parsed or raises ApilaneError."""
    with contextlib.suppress(ApilaneError):
        keys = parse_sort(text, products, readable)
        assert keys is None or len(keys) > 0


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (None, ("ID", "Title", "Price")),
        ("", ("ID", "Title", "Price")),
        ("  ", ("ID", "Title", "Price")),
        ("price,title", ("ID", "Title", "Price")),
        ("title, Price,Nope", ("ID", "Title", "Price")),
        (" PRICE ", ("ID", "Price")),
        ("Nope", ("ID",)),
        (",", ("ID",)),
        ("ID", ("ID",)),
    ],
)
@pytest.mark.parametrize("readable", [("ID", "Title", "Price"), ("Title", "Price")])
def test_properties(text: str | None, readable: tuple[str, ...], names: tuple[str, ...]) -> None:
    """Names get schema order and always include ID; unknown and unreadable names are dropped."""
    assert parse_properties(text, readable) == names
