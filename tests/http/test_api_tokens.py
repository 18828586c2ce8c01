"""API tokens on a real server: what a program may do, and when its token is refused."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from apilane.testing.client import Client, error_of
from apilane.testing.server import Server
from apilane_api_tokens.form import checksum, is_token, new_token
from apilane_api_tokens.service import Changes, Draft
from tests.http.conftest import AsOperator, NewClient
from tests.http.programs import MANIFEST, REFUSED, SEEN_S, Programs, status


@pytest.fixture(scope="module")
def programs(server: Server, new_application: NewClient) -> Programs:
    return Programs(server, new_application(MANIFEST))


@pytest.fixture
def with_roles(programs: Programs) -> Iterator[Callable[[str | None], None]]:
    yield programs.roles
    programs.roles(None)


def test_form_and_checksum() -> None:
    """A token has prefix, kind, 32 random digits and the checksum of the text before it."""
    token = new_token("usr")
    prefix, kind, random, sum_ = token.split("_")
    assert (prefix, kind, len(random), len(sum_)) == ("apl", "usr", 32, 6)
    assert sum_ == checksum(f"apl_usr_{random}")
    assert is_token(token)
    assert not is_token(token[:-1] + ("a" if token[-1] != "a" else "b"))
    assert not is_token(token.replace("usr", "xyz"))


def test_a_program_of_a_user(programs: Programs) -> None:
    """A program acts for its user within its scopes: it reads, it creates records that the user owns, and no more."""
    program = programs.program("Items:get", "Diary:*")
    (id,) = programs.anna.add("Items", {"Title": "a", "Price": 1})
    assert program.record("Items", id)["Title"] == "a"
    assert error_of(program.post("Data/Post", {"Title": "b"}, entity="Items")).code == "UNAUTHORIZED"
    (note,) = program.add("Diary", {"Text": "mine"})
    assert programs.anna.record("Diary", note)["Text"] == "mine"
    assert error_of(program.get("Custom/Count")).code == "UNAUTHORIZED"
    assert error_of(program.get("Data/Schema")).code == "UNAUTHORIZED"


def test_lists_of_properties(programs: Programs) -> None:
    """A scope with a list limits what is read, written, filtered and sorted to these properties."""
    program = programs.program("Items:get(Title)", "Items:post(Price)")
    (id,) = programs.anna.add("Items", {"Title": "t", "Price": 5, "Secret": "s"})
    assert program.record("Items", id) == {"ID": id, "Title": "t"}
    condition = '{"Property":"Secret","Operator":"equal","Value":"s"}'
    assert error_of(program.get("Data/Get", entity="Items", filter=condition)).code == "INVALID_FILTER_PARAMETER"
    sort = '[{"Property":"Price","Direction":"ASC"}]'
    assert error_of(program.get("Data/Get", entity="Items", sort=sort)).code == "INVALID_SORT_PARAMETER"
    assert error_of(program.get("Stats/Aggregate", entity="Items", properties="Price.Sum")).code == "UNAUTHORIZED"
    (new,) = program.add("Items", {"Title": "x", "Price": 7})
    assert programs.anna.record("Items", new)["Title"] is None
    assert programs.anna.record("Items", new)["Price"] == 7


def test_endpoints_schema_and_shorthands(programs: Programs) -> None:
    """Endpoints and the schema have scopes of their own; ``read`` and ``write`` stand for actions on every entity."""
    assert programs.program("Custom/Count").get("Custom/Count").status_code == 200
    assert error_of(programs.program("Custom/Count").get("Custom/Mine")).code == "UNAUTHORIZED"
    assert programs.program("schema").get("Data/Schema").status_code == 200
    reader, writer = programs.program("read"), programs.program("write")
    assert status(reader) == 200
    assert reader.get("Data/Schema").status_code == 200
    assert error_of(reader.post("Data/Post", {"Title": "b"}, entity="Items")).code == "UNAUTHORIZED"
    assert status(writer) == 401
    assert writer.post("Data/Post", {"Title": "b"}, entity="Items").status_code == 200


def test_operations_of_a_transaction(programs: Programs) -> None:
    """Each operation of a transaction needs a scope; without one nothing is stored."""
    program = programs.program("Items:post(Title)")
    before = len(programs.anna.records("Items", pageSize=1000))
    operations = [
        {"Action": "Post", "Entity": "Items", "Data": {"Title": "in"}},
        {"Action": "Post", "Entity": "Diary", "Data": {"Text": "out"}},
    ]
    refused = program.post("Data/TransactionOperations", {"Operations": operations})
    assert error_of(refused).code == "UNAUTHORIZED"
    assert len(programs.anna.records("Items", pageSize=1000)) == before


def test_never_more_than_the_owner_can_do_now(programs: Programs, with_roles: Callable[[str | None], None]) -> None:
    """A program loses and gains what its user loses and gains, within a second."""
    program = programs.program("Items:put", "Items:get")
    (id,) = programs.anna.add("Items", {"Title": "a"})
    change = {"ID": id, "Title": "b"}
    assert error_of(program.put("Data/Put", change, entity="Items")).code == "UNAUTHORIZED"
    with_roles("editor")
    assert program.put("Data/Put", change, entity="Items").json() == 1
    with_roles(None)
    assert error_of(program.put("Data/Put", change, entity="Items")).code == "UNAUTHORIZED"


def test_a_deleted_user(programs: Programs, as_operator: AsOperator) -> None:
    """The tokens of a deleted user are refused within a second, and are deleted with the user."""
    programs.client.register("Gone")
    sql, token = programs.server.sql, programs.client.token
    ((user,),) = sql(token, 'SELECT "ID" FROM "Users" WHERE "Username" = \'Gone\'')
    draft = Draft(name="test", scopes=["read"], user_id=user)
    issued = programs.manage(lambda tokens: tokens.create(draft, "tests"))
    program = programs.client.as_user(issued.secret)
    assert status(program) == 200
    assert as_operator(programs.client).delete("Data/Delete", entity="Users", ids=user).json() == [user]
    time.sleep(SEEN_S)
    assert error_of(program.get("Data/Get", entity="Items")) == REFUSED
    assert sql(token, 'SELECT * FROM "H_ApiTokens" WHERE "ID" = ?', (issued.row.id,)) == []


def test_the_applications_own_token(programs: Programs) -> None:
    """It has its roles, creates records without an owner, and reaches no Owned records, not even those without one."""
    program = programs.program("Items:*", "Diary:*", "Custom/*", user=False, roles=["editor"])
    (id,) = program.add("Items", {"Title": "free"})
    assert programs.server.sql(programs.client.token, 'SELECT "Owner" FROM "Items" WHERE "ID" = ?', (id,)) == [(None,)]
    assert program.put("Data/Put", {"ID": id, "Title": "changed"}, entity="Items").json() == 1
    (note,) = program.add("Diary", {"Text": "unowned"})
    assert program.records("Diary") == []
    assert error_of(program.get("Data/GetByID", entity="Diary", id=note)).code == "NOT_FOUND"
    assert program.put("Data/Put", {"ID": note, "Text": "x"}, entity="Diary").json() == 0
    assert error_of(program.get("Custom/Mine")).code == "UNAUTHORIZED"
    without = programs.program("Items:*", user=False)
    assert error_of(without.put("Data/Put", {"ID": id, "Title": "x"}, entity="Items")).code == "UNAUTHORIZED"


def test_account_calls_refuse_programs(programs: Programs) -> None:
    """Every account call refuses a program, except UserData, which shows the rules within its scopes."""
    program = programs.program("Items:get(Title)", "Users:*")
    own = programs.program("read", user=False)
    login = {"Username": "Anna", "Password": "Passw0rd-of-tests"}
    for each in (program, own):
        answers = [
            each.post("Account/Login", login),
            each.post("Account/Register", {**login, "Username": "Eve", "Email": "eve@example.com"}),
            each.put("Account/Update", {"Username": "Other"}),
            each.put("Account/ChangePassword", {"Password": "a", "NewPassword": "another one"}),
            each.get("Account/RenewAuthToken"),
            each.get("Account/Logout", everywhere="true"),
            each.get("Email/ForgotPassword", email="anna@example.com"),
        ]
        assert [error_of(answer) for answer in answers] == [REFUSED] * len(answers)
    told = program.get("Account/UserData").json()
    assert told["User"]["Username"] == "Anna"
    assert [(rule["Name"], rule["Action"], rule["Properties"]) for rule in told["Security"]] == [
        ("Items", "get", ["Title"])
    ]
    assert error_of(own.get("Account/UserData")) == REFUSED


def bad_tokens(programs: Programs, new_application: NewClient) -> dict[str, str]:
    """Tokens that are refused, by the reason."""
    issue, manage = programs.issue, programs.manage
    suspended, revoked, expired, rotated = (issue("read") for _ in range(4))
    manage(lambda tokens: tokens.suspend(suspended.row.id))
    manage(lambda tokens: tokens.revoke(revoked.row.id))
    manage(lambda tokens: tokens.rotate(rotated.row.id))
    sql, token = programs.server.sql, programs.client.token
    sql(token, 'UPDATE "H_ApiTokens" SET "Expires" = 1 WHERE "ID" = ?', (expired.row.id,))
    foreign = Programs(programs.server, new_application(MANIFEST))
    good = issue("read").secret
    return {
        "wrong checksum": good[:-1] + ("a" if good[-1] != "a" else "b"),
        "no checksum": good[:-7],
        "wrong kind": good.replace("usr", "xyz"),
        "unknown": new_token("usr"),
        "suspended": suspended.secret,
        "revoked": revoked.secret,
        "expired": expired.secret,
        "rotated": rotated.secret,
        "foreign": foreign.issue("read").secret,
        "other network": issue("read", networks=["203.0.113.0/24"]).secret,
    }


def test_all_bad_tokens_are_alike(programs: Programs, new_application: NewClient) -> None:
    """Bad tokens of every kind get the same answer with the same headers, also where anonymous callers may call."""
    answers = {}
    for reason, token in bad_tokens(programs, new_application).items():
        for entity in ("Items", "Diary"):
            answer = programs.client.as_user(token).get("Data/Get", entity=entity)
            headers = {name: value for name, value in answer.headers.items() if name != "date"}
            answers[reason, entity] = answer.status_code, answer.content, headers
    first = next(iter(answers.values()))
    assert first[0] == 401
    assert {key: answer for key, answer in answers.items() if answer != first} == {}
    assert status(programs.client, "Diary") == 200, "anonymous callers may call"


def test_never_in_the_address(programs: Programs) -> None:
    """A token in the query is refused with a hint, whatever the parameter; another text is not."""
    token = programs.issue("read").secret
    for query in (f"access_token={token}", f"x={token}", f"x=a%20{token}", "x=" + token.replace("_", "%5F")):
        answer = programs.client.send("GET", f"/api/Data/Get?entity=Diary&{query}")
        error = error_of(answer)
        assert error.code == "UNAUTHORIZED"
        assert "Send it in the header Authorization" in error.message
        assert token not in answer.text
    harmless = programs.client.send("GET", f"/api/Data/Get?entity=Diary&x={token[:-1]}&y=apl_x")
    assert harmless.status_code == 200


@pytest.mark.parametrize("act", ["suspend", "revoke"])
def test_seen_within_a_second(programs: Programs, act: str) -> None:
    """A change by another process is seen within a second; a suspended token works again after it is resumed."""
    issued = programs.issue("read")
    program = programs.client.as_user(issued.secret)
    assert status(program) == 200
    programs.manage(lambda tokens: getattr(tokens, act)(issued.row.id))
    time.sleep(SEEN_S)
    assert status(program) == 401
    if act == "suspend":
        programs.manage(lambda tokens: tokens.resume(issued.row.id))
        assert status(program) == 200


def test_other_scopes_without_a_new_secret(programs: Programs) -> None:
    """Scopes are changed for the same secret, and the change is seen within a second."""
    issued = programs.issue("Items:get")
    program = programs.client.as_user(issued.secret)
    assert (status(program), status(program, "Diary")) == (200, 401)
    programs.manage(lambda tokens: tokens.change(issued.row.id, Changes(scopes=["Diary:get"])))
    time.sleep(SEEN_S)
    assert (status(program), status(program, "Diary")) == (401, 200)


def test_rotation_with_overlap(programs: Programs) -> None:
    """After a rotation the old secret works for the overlap only, and scopes and limits are those before."""
    issued = programs.issue("Items:get(Title)", rate_limit="100/minute")
    old = programs.client.as_user(issued.secret)
    rotated = programs.manage(lambda tokens: tokens.rotate(issued.row.id, overlap_s=3))
    new = programs.client.as_user(rotated.secret)
    assert (status(old), status(new)) == (200, 200)
    assert (rotated.row.scopes, rotated.row.rate_limit) == (issued.row.scopes, issued.row.rate_limit)
    time.sleep(3 + SEEN_S)
    assert (status(old), status(new)) == (401, 200)


def test_networks(programs: Programs) -> None:
    """A token with a list of ranges is accepted from these only."""
    assert status(programs.program("read", networks=["127.0.0.0/8", "::1"])) == 200
    assert status(programs.program("read", networks=["198.51.100.0/24"])) == 401


def test_own_rate_limit(programs: Programs) -> None:
    """A token has a limit of its own, with ``Retry-After``."""
    program = programs.program("read", rate_limit="3/hour")
    assert [status(program) for _ in range(3)] == [200] * 3
    refused = program.get("Data/Get", entity="Items")
    assert error_of(refused).code == "RATE_LIMIT_EXCEEDED"
    assert 0 < int(refused.headers["retry-after"]) <= 3600


@pytest.mark.parametrize("quota", ["day_quota", "month_quota"])
def test_quotas(programs: Programs, quota: str) -> None:
    """A quota counts the uses of the day or month, also those before the token was read again."""
    program = programs.program("read", **{quota: 4})
    assert [status(program) for _ in range(2)] == [200] * 2
    time.sleep(2 * SEEN_S)
    assert [status(program) for _ in range(2)] == [200] * 2
    refused = program.get("Data/Get", entity="Items")
    assert error_of(refused).code == "RATE_LIMIT_EXCEEDED"
    assert int(refused.headers["retry-after"]) > 0


def test_uses_are_counted_and_logged(programs: Programs) -> None:
    """Uses are counted by day and call, the log has address and outcome, and the token its last use."""
    issued = programs.issue("Items:get")
    program = programs.client.as_user(issued.secret)
    for entity in ("Items", "items", "Diary"):
        program.get("Data/Get", entity=entity)
    programs.client.as_user(new_token("usr")).get("Data/Get", entity="Items")
    deadline = time.monotonic() + 10
    while sum(each.uses for each in programs.manage(lambda tokens: tokens.usage(issued.row.id))) < 3:
        assert time.monotonic() < deadline
    counts = programs.manage(lambda tokens: tokens.usage(issued.row.id))
    assert [(each.call, each.uses, each.failed) for each in counts] == [
        ("GET /api/Data/Get Diary", 1, 1),
        ("GET /api/Data/Get Items", 2, 0),
    ]
    log = programs.manage(lambda tokens: tokens.log(issued.row.id))
    assert {(each.address, each.call, each.status) for each in log} == {
        ("127.0.0.1", "GET /api/Data/Get Items", 200),
        ("127.0.0.1", "GET /api/Data/Get Diary", 401),
    }
    row = programs.manage(lambda tokens: tokens.known(issued.row.id))
    assert row.last_address == "127.0.0.1"
    assert row.last_used is not None


def test_the_database_has_no_secret(programs: Programs) -> None:
    """No column of the tables of tokens contains a secret."""
    issued = programs.issue("read")
    status(programs.client.as_user(issued.secret))
    random = issued.secret.split("_")[2]
    for table in ("H_ApiTokens", "H_ApiTokenDays", "H_ApiTokenCalls"):
        rows = programs.server.sql(programs.client.token, f'SELECT * FROM "{table}"')
        assert random not in str(rows)
    assert random not in programs.server.output()
    assert random not in repr(issued)


def test_operators_are_no_programs(programs: Programs, as_operator: AsOperator) -> None:
    """A token on the owner channel gives a program, never an operator; an owner token is no API token."""
    secret = programs.issue("Items:get").secret
    portal = programs.client.as_operator(secret)
    assert error_of(portal.get("Data/Get", entity="Diary")).code == "UNAUTHORIZED"
    assert status(portal) == 200
    assert status(as_operator(programs.client)) == 200


@pytest.mark.parametrize(
    ("wrong", "property"),
    [
        ({"scopes": []}, "Scopes"),
        ({"scopes": ["Items"]}, "Scopes"),
        ({"scopes": ["Itms:get"]}, "Scopes"),
        ({"scopes": ["Items:read"]}, "Scopes"),
        ({"scopes": ["Items:get(Titel)"]}, "Scopes"),
        ({"scopes": ["Items:delete(Title)"]}, "Scopes"),
        ({"scopes": ["Items:get()"]}, "Scopes"),
        ({"scopes": ["Custom/Nothing"]}, "Scopes"),
        ({"scopes": ["introspect"]}, "Scopes"),
        ({"name": ""}, "Name"),
        ({"name": "a\nb"}, "Name"),
        ({"description": "x" * 501}, "Description"),
        ({"expires_days": 0}, "ExpiresDays"),
        ({"expires_days": 366}, "ExpiresDays"),
        ({"expires_days": float("nan")}, "ExpiresDays"),
        ({"networks": ["10.0.0.0/99"]}, "Networks"),
        ({"rate_limit": "5/day"}, "RateLimit"),
        ({"rate_limit": "0/hour"}, "RateLimit"),
        ({"day_quota": 0}, "DayQuota"),
        ({"month_quota": -1}, "MonthQuota"),
        ({"roles": ["editor"]}, "Roles"),
        ({"tenant": 1}, "Roles"),
        ({"user_id": 10**9}, "UserID"),
        ({"user_id": None, "tenant": 1}, "Tenant"),
        ({"user_id": None, "roles": ["ANONYMOUS"]}, "Roles"),
        ({"user_id": None, "roles": ["a,b"]}, "Roles"),
    ],
)
def test_wrong_values_are_refused(programs: Programs, wrong: dict[str, Any], property: str) -> None:
    """A wrong value is refused when a token is created, with the name of the value."""
    from apilane.plugin import ApilaneError

    draft = Draft(**{"name": "n", "scopes": ["read"], "user_id": programs.anna_id, **wrong})
    with pytest.raises(ApilaneError) as refused:
        programs.manage(lambda tokens: tokens.create(draft, "tests"))
    assert (refused.value.code, refused.value.property) == ("VALIDATION", property)


def test_parallel_first_uses(programs: Programs) -> None:
    """Many requests at once with a token that is not cached yet are all accepted, and all are counted."""
    from concurrent.futures import ThreadPoolExecutor

    issued = programs.issue("read")

    def ask(_number: int) -> int:
        with httpx.Client(trust_env=False) as http:
            return status(Client(http, programs.server.url, programs.client.token, issued.secret))

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(ask, range(40))) == {200}
    deadline = time.monotonic() + 10
    while sum(each.uses for each in programs.manage(lambda tokens: tokens.usage(issued.row.id))) < 40:
        assert time.monotonic() < deadline
