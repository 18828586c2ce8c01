"""``Idempotency-Key`` (docs/reference/protocol/wire-api.md section 4.8)."""

from __future__ import annotations

import fcntl
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from apilane.testing.client import Client, WireError, error_of
from apilane.testing.server import Server
from tests.http.conftest import AsOperator, NewClient

USED = "The Idempotency-Key was used for another request; use a new key for each request"
TEN = "(" + " UNION ALL ".join(f"SELECT {number} AS n" for number in range(10)) + ")"
MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Payments", "AllowUserRegister": True},
    "Entities": [
        {
            "Name": "Payments",
            "Properties": [{"Name": "Amount", "Type": "Number", "Required": True}, {"Name": "Code", "Maximum": 20}],
            "Constraints": [{"Type": "Unique", "Properties": ["Code"]}],
        },
        {"Name": "Refunds", "Properties": [{"Name": "Amount", "Type": "Number"}]},
        {"Name": "Limited", "Properties": [{"Name": "Amount", "Type": "Number"}]},
    ],
    "CustomEndpoints": [
        {
            "Name": "Many",
            "Query": f"SELECT 'a rather long text' AS txt FROM {', '.join(f'{TEN} t{number}' for number in range(5))}",
        }
    ],
    "Security": [
        {"CustomEndpoint": "Many", "Role": "AUTHENTICATED"},
        {"Entity": "Payments", "Role": "ANONYMOUS", "Action": "post", "Properties": "*"},
        {"Entity": "Payments", "Role": "ANONYMOUS", "Action": "get", "Properties": "*"},
        {"Entity": "Refunds", "Role": "AUTHENTICATED", "Action": "post", "Properties": "*"},
        {
            "Entity": "Limited",
            "Role": "AUTHENTICATED",
            "Action": "post",
            "Properties": "*",
            "RateLimit": {"MaxRequests": 2, "Per": "Hour"},
        },
    ],
}


@pytest.fixture(scope="module")
def payments(new_application: NewClient) -> Client:
    """An application with payments, as an anonymous caller."""
    return new_application(MANIFEST)


@pytest.fixture(scope="module")
def member(payments: Client) -> Client:
    """A signed-in user."""
    return payments.signed_in("member")


def send(client: Client, key: str | bytes, body: Any, path: str = "Data/Post?entity=Payments") -> httpx.Response:
    """A POST with the key."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers: Any = {"Content-Type": "application/json", "Idempotency-Key": key}
    return client.send("POST", f"/api/{path}", content, headers)


def total(client: Client) -> int:
    found: int = client.get("Data/Get", entity="Payments", getTotal="true", pageSize=1).json()["Total"]
    return found


def test_same_request(member: Client) -> None:
    """A repeated Post gets the first answer, is marked as repeated, and stores nothing."""
    first = send(member, "post-1", {"Amount": 5})
    before = total(member)
    second = send(member, "post-1", {"Amount": 5})
    assert (first.status_code, second.status_code) == (200, 200)
    assert (second.json(), total(member)) == (first.json(), before)
    assert second.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert send(member, "post-2", {"Amount": 5}).json() != first.json()


def test_transactions(member: Client) -> None:
    """Both transaction calls are carried out once for each key; a key belongs to its call."""
    bodies = {
        "Data/Transaction": {"Post": [{"Entity": "Payments", "Data": {"Amount": 1}}]},
        "Data/TransactionOperations": {"Operations": [{"Action": "Post", "Entity": "Payments", "Data": {"Amount": 1}}]},
    }
    before = total(member)
    for path, body in bodies.items():
        answers = [send(member, "shared-key", body, path) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200] * 3
        assert len({answer.text for answer in answers}) == 1
    assert total(member) == before + 2


def test_another_request(member: Client) -> None:
    """The same key with another body or another entity is refused, and stores nothing."""
    send(member, "other", {"Amount": 1})
    before = total(member)
    assert error_of(send(member, "other", {"Amount": 2})) == WireError("ERROR", USED)
    refund = send(member, "other", {"Amount": 1}, "Data/Post?entity=Refunds")
    assert error_of(refund) == WireError("ERROR", USED)
    assert total(member) == before


def test_another_caller(payments: Client, member: Client, as_operator: AsOperator) -> None:
    """A key of one caller means nothing for another user or an operator."""
    answers = [
        send(caller, "of-each", {"Amount": 1})
        for caller in (member, payments.signed_in("second"), as_operator(payments))
    ]
    assert len({answer.text for answer in answers}) == 3


def test_failures_are_not_kept(member: Client) -> None:
    """A request that failed is carried out when it is sent again."""
    member.add("Payments", {"Amount": 1, "Code": "taken"})
    body = {"Amount": 1, "Code": "taken"}
    for _ in range(2):
        assert error_of(send(member, "fails", body)).code == "UNIQUE_CONSTRAINT_VIOLATION"
    assert error_of(send(member, "fails", {})).code == "REQUIRED"
    assert send(member, "fails", {"Amount": 1, "Code": "free"}).status_code == 200


def test_after_admission(member: Client) -> None:
    """A repeated request needs its rights and counts against its limit, like any other."""
    path = "Data/Post?entity=Limited"
    answers = [send(member, "limit", {"Amount": 1}, path) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 400]
    assert error_of(answers[2]).code == "RATE_LIMIT_EXCEEDED"
    refused = send(member.as_user(None), "limit", {"Amount": 1}, "Data/Post?entity=Refunds")
    assert error_of(refused).code == "UNAUTHORIZED"


def test_anonymous(payments: Client) -> None:
    """A key of a caller without identity is refused, because it could belong to anyone."""
    before = total(payments)
    error = error_of(send(payments, "anonymous", {"Amount": 1}))
    assert error.message == "Something went wrong: an Idempotency-Key needs a signed-in caller"
    assert total(payments) == before


def test_expired_token(payments: Client, member: Client) -> None:
    """Where anonymous callers may post, a caller whose token has expired reads to sign in again, and stores nothing."""
    before = total(payments)
    guest = payments.as_user("3f1f9a5e-0000-4000-8000-000000000000")
    error = error_of(send(guest, "expired", {"Amount": 1}))
    assert error.code == "ERROR"
    assert error.message.endswith("the token of this request is unknown or has expired; sign in again")
    assert total(payments) == before


@pytest.mark.parametrize("keys", [("a-1", "a-2"), ("same", "same")])
@pytest.mark.parametrize("path", ["Data/Post?entity=Payments", "Data/Transaction"])
def test_repeated_header(member: Client, keys: tuple[str, str], path: str) -> None:
    """A request with more than one key is refused, and stores nothing."""
    before = total(member)
    body: Any = {"Amount": 1}
    if path == "Data/Transaction":
        body = {"Post": [{"Entity": "Payments", "Data": body}]}
    headers = [*member.headers().items(), *(("Idempotency-Key", key) for key in keys)]
    answer = member.http.post(f"{member.url}/api/{path}", json=body, headers=headers)
    assert answer.status_code == 400
    told = "The header idempotency-key is sent more than once; send it once"
    assert error_of(answer) == WireError("ERROR", told)
    assert total(member) == before


@pytest.mark.parametrize("key", [b"x" * 256, b"x" * 10_000, b"a b", "schlüssel".encode(), b"a\tb"])
def test_bad_keys(member: Client, key: bytes) -> None:
    """A key that is too long or has other characters is refused by name."""
    before = total(member)
    error = error_of(send(member, key, {"Amount": 1}))
    assert error.message == "Something went wrong: an Idempotency-Key has 1 to 255 visible ASCII characters"
    assert total(member) == before


def test_at_the_same_time(member: Client) -> None:
    """Of requests with one key at the same time one is carried out, and all get its answer."""
    before = total(member)
    for turn in range(5):
        gate = threading.Barrier(8)

        def one(_number: int, key: str = f"race-{turn}", gate: threading.Barrier = gate) -> str:
            gate.wait()
            answer = send(member, key, [{"Amount": 1}, {"Amount": 2}])
            assert answer.status_code == 200, answer.text
            return answer.text

        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(one, range(8)))) == 1
    assert total(member) == before + 10


@pytest.mark.sqlite_only("on other databases the key is a locked row")
def test_a_request_that_takes_too_long(server: Server, member: Client) -> None:
    """A request whose key another process uses for 20 seconds gets 409, and is carried out after the other ended."""
    code = {"Amount": 1, "Code": "in flight"}
    member.add("Payments", code)
    folder = Path(f"{server.database(member.token)}.locks")
    before = {*folder.glob("idempotency-*")}
    number = 0
    while not (new := {*folder.glob("idempotency-*")} - before):  # two keys may share a lock
        number += 1
        assert error_of(send(member, f"slow-{number}", code)).code == "UNIQUE_CONSTRAINT_VIOLATION"
    with new.pop().open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        refused = send(member, f"slow-{number}", {"Amount": 1})
    assert (refused.status_code, error_of(refused).code) == (409, "ERROR")
    assert error_of(refused).message.startswith("A request with this Idempotency-Key is still being carried out")
    assert send(member, f"slow-{number}", {"Amount": 1}).status_code == 200


def test_large_answers_are_not_kept(member: Client) -> None:
    """An answer over 1 MB is not kept: the repeated request is refused, and stores nothing."""
    operations = {
        "Operations": [
            {"Action": "Post", "Entity": "Payments", "Data": {"Amount": 1}},
            {"Action": "Custom", "Entity": "Many", "Data": {}},
        ]
    }
    first = send(member, "large", operations, "Data/TransactionOperations")
    assert first.status_code == 200
    assert len(first.content) > 1_000_000
    before = total(member)
    error = error_of(send(member, "large", operations, "Data/TransactionOperations"))
    assert error.message.startswith("The request with this Idempotency-Key was carried out")
    assert total(member) == before


def test_custom_sql_never_sees_keys(payments: Client, as_operator: AsOperator) -> None:
    """Custom SQL cannot read the table of keys and answers."""
    query = {"Name": "Test", "Query": "SELECT * FROM H_Idempotency_Keys"}
    assert error_of(as_operator(payments).post("Custom/Test", query)).code == "ERROR"
