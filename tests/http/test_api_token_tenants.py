"""API tokens in an application with tenants."""

from __future__ import annotations

import time
from typing import Any

import pytest

from apilane.plugin import ApilaneError
from apilane.testing.client import error_of
from apilane.testing.server import Server
from apilane_api_tokens.service import Draft
from tests.http.conftest import AsOperator, NewClient
from tests.http.programs import REFUSED, SEEN_S, Programs

MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {
        "Name": "Tenants of tokens",
        "AllowUserRegister": True,
        "AllowLoginUnconfirmedEmail": True,
        "DifferentiationEntity": "Company",
    },
    "Entities": [
        {"Name": "Company", "Properties": [{"Name": "Title", "Type": "String", "Maximum": 50}]},
        {"Name": "Notes", "Differentiation": True, "Properties": [{"Name": "Text", "Type": "String", "Maximum": 50}]},
    ],
    "Security": [
        {"Entity": "Notes", "Role": "AUTHENTICATED", "Action": action, "Properties": ["Text"]}
        for action in ("get", "post", "put", "delete")
    ],
}


@pytest.fixture(scope="module")
def programs(server: Server, new_application: NewClient) -> Programs:
    return Programs(server, new_application(MANIFEST))


@pytest.fixture(scope="module")
def companies(programs: Programs, as_operator: AsOperator) -> list[int]:
    """Two tenants; Anna is in the first."""
    operator = as_operator(programs.client)
    ids = operator.add("Company", {"Title": "A"}, {"Title": "B"})
    programs.tenant(ids[0])
    return ids


def test_a_program_moves_with_its_user(programs: Programs, companies: list[int]) -> None:
    """A program of a user reaches the tenant in which the user is now."""
    program = programs.program("Notes:*")
    (id,) = program.add("Notes", {"Text": "first"})
    assert [note["ID"] for note in program.records("Notes")] == [id]
    programs.tenant(companies[1])
    assert program.records("Notes") == []
    assert program.put("Data/Put", {"ID": id, "Text": "x"}, entity="Notes").json() == 0
    (other,) = program.add("Notes", {"Text": "second"})
    programs.tenant(companies[0])
    assert [note["ID"] for note in program.records("Notes")] == [id]
    assert other != id


def test_the_applications_own_token(programs: Programs, companies: list[int]) -> None:
    """A token of the application reaches the records of its tenant only; without one, those of no tenant."""
    first, second = (programs.program("Notes:*", user=False, tenant=company) for company in companies)
    (id,) = first.add("Notes", {"Text": "in the first"})
    assert id in [note["ID"] for note in first.records("Notes")]
    assert id not in [note["ID"] for note in second.records("Notes")]
    assert second.delete("Data/Delete", entity="Notes", ids=id).json() == []
    assert programs.program("Notes:*", user=False).records("Notes") == []


def test_a_tenant_that_does_not_exist(programs: Programs, companies: list[int]) -> None:
    """A token of the application is not created for an unknown tenant."""
    draft = Draft(name="n", scopes=["read"], tenant=max(companies) + 100)
    with pytest.raises(ApilaneError) as refused:
        programs.manage(lambda tokens: tokens.create(draft, "tests"))
    assert refused.value.property == "Tenant"


def test_another_differentiation_entity(programs: Programs, companies: list[int]) -> None:
    """A token of the application whose tenants were those of another entity is refused: its ID means another record."""
    issued = programs.issue("read", user=False, tenant=companies[0])
    sql, token = programs.server.sql, programs.client.token
    sql(token, 'UPDATE "H_ApiTokens" SET "TenantEntity" = \'Shops\' WHERE "ID" = ?', (issued.row.id,))
    time.sleep(SEEN_S)
    program = programs.client.as_user(issued.secret)
    assert error_of(program.get("Data/Get", entity="Notes")) == REFUSED
