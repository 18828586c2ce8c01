"""Data/Export and Data/Import: B-X6 (docs/reference/protocol/wire-api.md sections 4.10 and 4.11)."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

import apilane.client
from apilane.client import Call
from apilane.testing.client import PASSWORD, Client, error_of
from tests.http.conftest import AsOperator, NewClient

PROPERTIES: list[dict[str, Any]] = [
    {"Name": "Title", "Required": True, "Maximum": 60},
    {"Name": "Code", "Maximum": 20},
    {"Name": "Price", "Type": "Number", "DecimalPlaces": 2},
    {"Name": "InStock", "Type": "Boolean"},
    {"Name": "Released", "Type": "Date"},
    {"Name": "Data", "Format": "Json"},
    {"Name": "Secret", "Encrypted": True},
    {"Name": "Kind_ID", "Type": "Number"},
    {"Name": "Hidden"},
]
OPEN = [each["Name"] for each in PROPERTIES if each["Name"] != "Hidden"]
MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Bulk", "DifferentiationEntity": "Company"},
    "Entities": [
        {"Name": "Company", "Properties": [{"Name": "Text"}]},
        {"Name": "Kinds", "Differentiation": True, "Properties": [{"Name": "Text"}]},
        {
            "Name": "Items",
            "Properties": PROPERTIES,
            "Constraints": [
                {"Type": "Unique", "Properties": ["Code"]},
                {"Type": "ForeignKey", "Property": "Kind_ID", "Entity": "Kinds"},
            ],
        },
        {"Name": "Rationed", "Properties": [{"Name": "Text"}]},
    ],
    "Security": [
        {"Entity": "Items", "Role": "AUTHENTICATED", "Action": "get", "Record": "Owned", "Properties": OPEN},
        {"Entity": "Items", "Role": "AUTHENTICATED", "Action": "post", "Properties": OPEN},
        {"Entity": "Kinds", "Role": "AUTHENTICATED", "Action": "post", "Properties": "*"},
        *(
            {
                "Entity": "Rationed",
                "Role": "AUTHENTICATED",
                "Action": action,
                "Properties": ["Text"],
                "RateLimit": {"MaxRequests": 3, "Per": "Hour"},
            }
            for action in ("get", "post")
        ),
    ],
}


@pytest.fixture(scope="module")
def app(new_application: NewClient) -> Client:
    """A new application."""
    return new_application(MANIFEST)


_names = iter(f"user{number}" for number in range(1000))


@pytest.fixture
def user(app: Client) -> Client:
    """A new user, who sees only own records."""
    name = next(_names)
    app.register(name)
    return app.as_user(app.login(name))


def send(client: Client, body: bytes | str, entity: str = "Items", **query: Any) -> httpx.Response:
    """An import, of CSV unless ``format`` says otherwise."""
    content = body if isinstance(body, bytes) else body.encode()
    return client.http.post(
        f"{client.url}/api/Data/Import",
        params={"entity": entity, "format": "csv", **query},
        content=content,
        headers=client.headers(),
    )


def report(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    return response.json()


def exported(client: Client, **query: Any) -> bytes:
    response = client.get("Data/Export", **{"entity": "Items", **query})
    assert response.status_code == 200, response.text
    return response.content


def values(client: Client, *names: str) -> list[tuple[Any, ...]]:
    lines = exported(client, format="jsonl").splitlines()
    return [tuple(record[name] for name in names) for record in map(json.loads, lines)]


NOTHING = {"Stored": 0, "Refused": [], "Ignored": [], "DryRun": False, "Stopped": None, "Next": None}


@pytest.mark.better("B-X6")
def test_csv_goes_out_and_in(user: Client) -> None:
    """Every kind of value comes back from an export, and the same export imported again gives equal records; an empty
    cell is null and two quotes are the empty text.
    """
    text = (
        "title,Code,Price,InStock,Released,Data,Secret\r\n"
        '"a, ""b""\r\nc",,-1.25,true,2026-01-31,"{""a"":[1.5,null]}",hush\r\n'
        '" ä ",,0.5,off,1000,"""text""",""\r\n'
        "\r\n"
        "😀,,,,,,"
    )
    assert report(send(user, text)) == {**NOTHING, "Stored": 3}
    first = exported(user, properties="Title,Price,InStock,Released,Data,Secret")
    assert first.decode().splitlines(keepends=True)[0] == "ID,Title,Price,InStock,Released,Data,Secret\r\n"
    lines = first.decode().split("\r\n", 1)[1]
    ids = [record[0] for record in values(user, "ID")]
    assert lines == (
        f'{ids[0]},"a, ""b""\r\nc",-1.25,true,1769817600000,"{{""a"":[1.5,null]}}",hush\r\n'
        f'{ids[1]},ä,0.50,false,1000,"""text""",""\r\n'.replace("0.50", "0.5" if "0.50" not in lines else "0.50")
        + f"{ids[2]},😀,,,,,\r\n"
    )
    assert report(send(user, first)) == {**NOTHING, "Stored": 3, "Ignored": ["ID"]}
    stored = values(user, "Title", "Price", "InStock", "Released", "Data", "Secret")
    assert stored[:3] == stored[3:]


@pytest.mark.better("B-X6")
def test_json_lines_go_out_and_in(user: Client) -> None:
    """An export as JSON lines is one record a line, and can be imported."""
    sent = [{"Title": "a\nb", "Price": 1.5, "Data": {"x": [1]}}, {"Title": "c", "InStock": True, "Released": 5}]
    body = "\ufeff" + "\n\n".join(map(json.dumps, sent))
    assert report(send(user, body, format="jsonl"))["Stored"] == 2
    again = exported(user, format="jsonl")
    assert report(send(user, again, format="jsonl")) == {**NOTHING, "Stored": 2, "Ignored": ["ID"]}
    stored = values(user, "Title", "Price", "InStock", "Released", "Data")
    assert stored[:2] == stored[2:] == [("a\nb", 1.5, False, None, {"x": [1]}), ("c", None, True, 5, None)] or (
        stored[:2] == stored[2:]
    )


@pytest.mark.better("B-X6")
def test_rules_of_the_caller(app: Client, user: Client, as_operator: AsOperator) -> None:
    """An export has what Data/Get has: the caller's records and properties, filter, sort and properties; an import
    stores what Data/Post stores, as the caller.
    """
    send(user, "Title,Hidden,Owner,Price\na,x,1,1\nb,y,1,2\nc,z,1,3\n")
    assert [each[:1] for each in values(user, "Title")] == [("a",), ("b",), ("c",)]
    assert b"Hidden" not in exported(user).splitlines()[0]
    condition = json.dumps({"Property": "Price", "Operator": "greater", "Value": 1})
    order = json.dumps([{"Property": "Price", "Direction": "DESC"}])
    found = exported(user, format="jsonl", filter=condition, sort=order, properties="Title").splitlines()
    assert [json.loads(line)["Title"] for line in found] == ["c", "b"]
    assert error_of(user.get("Data/Export", entity="Items", filter="{")).code == "INVALID_FILTER_PARAMETER"
    assert error_of(user.get("Data/Export", entity="Items", format="xml")).code == "ERROR"
    assert error_of(app.get("Data/Export", entity="Items")).code == "UNAUTHORIZED"
    assert error_of(app.get("Data/Export", entity="Files")).code == "ERROR"
    assert error_of(send(app, "Title\na\n")).code == "UNAUTHORIZED"
    assert error_of(send(as_operator(app), "Email\na@b.c\n", entity="Users")).code == "ERROR"
    operator = [json.loads(line) for line in exported(as_operator(app), format="jsonl").splitlines()]
    assert len(operator) > 3
    assert {each["Hidden"] for each in operator} == {None}


@pytest.mark.better("B-X6")
def test_secrets_stay_secret(app: Client, user: Client, as_operator: AsOperator) -> None:
    """An export of users never has a password; encrypted properties are in clear, as in Data/Get."""
    text = exported(as_operator(app), entity="Users", format="jsonl").decode()
    assert '"Password":null' in text
    assert "argon2" not in text
    assert {json.loads(line)["Password"] for line in text.splitlines()} == {None}
    send(user, "Title,Secret\na,hush\n")
    assert values(user, "Secret") == [("hush",)]


@pytest.mark.better("B-X6")
def test_bad_lines_stand_alone(user: Client) -> None:
    """Of batches with bad lines all other lines are stored, and the report names each bad one with its reason."""
    lines = [f"t{number},u{number}-x" for number in range(2, 2503)]
    wrong = {
        5: (",x", "REQUIRED"),
        900: ("t,u3-x", "UNIQUE_CONSTRAINT_VIOLATION"),
        1700: ("one cell", "VALIDATION"),
    }
    wrong |= {1701: ("a,b,c", "VALIDATION"), 2000: (f"{'x' * 61},", "VALIDATION"), 2503: ('say "hi",', "VALIDATION")}
    for line, (text, _) in wrong.items():
        lines[line - 2 : line - 1] = [text]
    done = report(send(user, "\n".join(["Title,Code", *lines])))
    assert [(each["Line"], each["Code"]) for each in done["Refused"]] == [(n, code) for n, (_, code) in wrong.items()]
    assert done["Stored"] == 2501 + 1 - len(wrong)
    assert done["Refused"][3]["Message"].endswith("expected 2 cells as in the header, found 3")
    assert done["Refused"][0]["Property"] == "Title"
    assert len(values(user, "ID")) == done["Stored"]


@pytest.mark.better("B-X6")
@pytest.mark.parametrize(
    ("body", "expected"),
    {
        "a": (b"", "Empty body"),
        "b": (b"Titel,Code\nx,y\n", "no property 'Titel' (did you mean 'Title'?)"),
        "c": (b"Title;Code\nx;y\n", "separate the cells with commas, not semicolons"),
        "d": (b"Title\tCode\nx\ty\n", "separate the cells with commas, not tabs"),
        "e": (b"Title,title\nx,y\n", "Title stands there twice"),
        "f": (b"Title,,Code\nx,y,z\n", "column 2 has no name"),
        "g": (b"ID,Owner\n1,2\n", "no property that the caller may write"),
        "h": ("Title,Code\nx,y\n".encode("utf-16"), "the text is UTF-16; send UTF-8"),
        "i": ("Title,Code\nx,y\n".encode("utf-16-le"), "the header"),
        "j": (b"Title,\xe4\nx,y\n", "it is not UTF-8"),
        "k": (b'"Title\nx\n', "a quote is not closed"),
        "l": (b"x" * 5_000_000, "a line is longer than"),
    }.values(),
    ids=str,
)
def test_text_that_is_no_table(user: Client, body: bytes, expected: str) -> None:
    """A text whose header cannot be used is refused as a whole, with what is wrong."""
    found = error_of(send(user, body))
    assert found.code in {"VALIDATION", "EMPTY_BODY"}
    assert expected in found.message
    assert values(user, "ID") == []


@pytest.mark.better("B-X6")
def test_wrong_bytes_and_quotes_in_lines(user: Client) -> None:
    """A line in another encoding, or with a missing quote, is refused alone, and its neighbours are stored."""
    body = b'\xef\xbb\xbfTitle,Code\nok,\n\xe4,\n"open,\nafter,\n"two\nlines",\n"tail"x,\nlast,""\n'
    done = report(send(user, body))
    assert [(each["Line"], each["Code"]) for each in done["Refused"]] == [
        (3, "VALIDATION"),
        (4, "VALIDATION"),
        (8, "VALIDATION"),
    ]
    assert [title for (title,) in values(user, "Title")] == ["ok", "after", "two\nlines", "last"]
    lines = b'[1]\n{"Title": "a"\n{"Title": "b"}\n{"Titel": "c"}\n{"Title": "d", "Price": "x"}\nnull\n\xff\n'
    done = report(send(user, lines, format="jsonl"))
    assert [each["Line"] for each in done["Refused"]] == [1, 2, 4, 5, 6, 7]
    assert done["Stored"] == 1
    assert "did you mean 'Title'?" in done["Refused"][2]["Message"]


@pytest.mark.better("B-X6")
def test_dry_run(user: Client) -> None:
    """A dry run reports what an import would store and refuse, and stores nothing."""
    body = "Title,Code\na,same\nb,same\n,c\n"
    done = report(send(user, body, dryRun="true"))
    assert (done["Stored"], [each["Line"] for each in done["Refused"]], done["DryRun"]) == (1, [3, 4], True)
    assert values(user, "ID") == []


@pytest.mark.better("B-X6")
def test_formulas(user: Client) -> None:
    """A safe export puts an apostrophe before texts that a spreadsheet would run; a safe import takes it away."""
    titles = ["=1+1", "+a", "-a", "@a", "'quoted", "plain"]
    send(user, "\n".join(json.dumps({"Title": title, "Price": -5}) for title in titles), format="jsonl")
    lines = exported(user, safe="true", properties="Title,Price").decode().split("\r\n")[1:-1]
    cells = [line.split(",", 2)[1:] for line in lines]
    assert [cell[0] for cell in cells] == ["'=1+1", "'+a", "'-a", "'@a", "'quoted", "plain"]
    assert {cell[1].rstrip("0").rstrip(".") for cell in cells} == {"-5"}
    send(user, exported(user, safe="true", properties="Title"), safe="true")
    assert [title for (title,) in values(user, "Title")][6:] == titles


@pytest.mark.better("B-X6")
def test_references_stay_inside_in_imports(app: Client, user: Client, as_operator: AsOperator) -> None:
    """A line that refers to a record of another tenant is refused like one that refers to none (B-X5)."""
    operator = as_operator(app)
    (company,) = operator.add("Company", {"Text": "x"})
    foreign, own = operator.add("Kinds", {"Company_ID": company})[0], user.add("Kinds", {"Text": "own"})[0]
    done = report(send(user, f"Title,Kind_ID\na,{own}\nb,{foreign}\nc,999999\n"))
    refused = [(each["Line"], each["Code"], each["Property"]) for each in done["Refused"]]
    assert refused == [(line, "FOREIGN_KEY_CONSTRAINT_VIOLATION", "Kind_ID") for line in (3, 4)]
    assert done["Stored"] == 1


@pytest.mark.better("B-X6")
def test_too_many_refused_lines(user: Client) -> None:
    """An import stops when the report would grow without bound, and says where to go on; from= goes on there."""
    lines = [f"t{number}" if number == 2 else ('"" ' if number < 1500 else f"t{number}") for number in range(2, 2002)]
    done = report(send(user, "\n".join(["Title", *lines])))
    assert len(done["Refused"]) == 1000
    assert (done["Stopped"]["Code"], done["Stored"]) == ("ERROR", 0)
    assert done["Next"] == 2
    fixed = [line if line.startswith("t") else "fixed" for line in lines]
    done = report(send(user, "\n".join(["Title", *fixed]), **{"from": 1000}))
    assert (done["Stored"], done["Next"]) == (1002, None)


@pytest.mark.better("B-X6")
def test_uses_of_a_rate_limit(user: Client) -> None:
    """Each 1,000 records count one use: an import stops when they are used up and says where to go on, and an export
    that would need more does not begin.
    """
    done = report(send(user, "Text\n" + "x\n" * 3500, entity="Rationed"))
    assert (done["Stored"], done["Next"], done["Stopped"]["Code"]) == (3000, 3002, "RATE_LIMIT_EXCEEDED")
    assert done["Stopped"]["RetryAfter"] > 0
    assert error_of(send(user, "Text\nx\n", entity="Rationed")).code == "RATE_LIMIT_EXCEEDED"
    assert len(exported(user, entity="Rationed").splitlines()) == 3001
    found = user.get("Data/Export", entity="Rationed")
    assert error_of(found).code == "RATE_LIMIT_EXCEEDED"
    assert found.headers["retry-after"]


@pytest.mark.better("B-X6")
def test_an_export_beyond_the_limit_never_begins(user: Client, app: Client, as_operator: AsOperator) -> None:
    """An export that the limit can never admit is refused with what it would need, before a byte is sent."""
    operator = as_operator(app)
    before = len(exported(operator, entity="Rationed").splitlines()) - 1
    assert report(send(operator, "Text\n" + "x\n" * max(0, 3001 - before), entity="Rationed"))["Stopped"] is None
    found = error_of(user.get("Data/Export", entity="Rationed"))
    assert found.code == "RATE_LIMIT_EXCEEDED"
    assert "uses, and the limit is 3 per Hour; export parts with a filter" in found.message


@pytest.mark.better("B-X6")
def test_rights_that_end(user: Client) -> None:
    """An import whose session ends stops before the next batch, and says where to go on."""

    def parts() -> Any:
        yield b"Title\n" + b"x\n" * 1500
        deadline = time.monotonic() + 20
        while len(values(user, "ID")) < 1000 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert user.get("Account/Logout").status_code == 200
        yield b"x\n" * 2000

    done = user.http.post(
        f"{user.url}/api/Data/Import",
        params={"entity": "Items", "format": "csv"},
        content=parts(),
        headers=user.headers(),
    ).json()
    assert (done["Stored"], done["Next"], done["Stopped"]["Code"]) == (1000, 1002, "UNAUTHORIZED")


@pytest.mark.better("B-X6")
def test_signed_requests(app: Client) -> None:
    """A signed import is verified with its whole body, and stored."""
    name = next(_names)
    app.register(name)
    with apilane.client.Client(app.url, app.token, signed=True, http=app.http) as client:
        client.login(username=name, password=PASSWORD)
        call = Call("POST", "/api/Data/Import", lambda r: r.json(), {"entity": "Items", "format": "csv"}, b"Title\na\n")
        assert client.send(call)["Stored"] == 1


@pytest.mark.better("B-X6")
def test_a_client_that_goes_away(user: Client) -> None:
    """Of an import whose client disconnects, whole batches are stored and nothing else."""

    def parts() -> Any:
        yield b"Title\n" + b"x\n" * 2500
        raise ConnectionError

    with pytest.raises(ConnectionError):
        user.http.post(
            f"{user.url}/api/Data/Import",
            params={"entity": "Items", "format": "csv"},
            content=parts(),
            headers=user.headers(),
        )
    deadline = time.monotonic() + 20
    while (stored := len(values(user, "ID"))) < 2000 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert stored == 2000
