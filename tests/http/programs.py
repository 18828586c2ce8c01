"""An application whose programs use API tokens, and the management of the tokens in the process of a test."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from apilane.instance import Instance
from apilane.testing.client import Client, WireError
from apilane.testing.server import Server
from apilane_api_tokens.service import ApiTokens, Draft, Issued

__all__ = ["MANIFEST", "REFUSED", "SEEN_S", "Programs", "status"]

T = TypeVar("T")
REFUSED = WireError("UNAUTHORIZED", "Unauthorized")
SEEN_S = 1.1
"""After this time every process has seen a change."""
PROPERTIES = ["Title", "Price", "Secret"]
MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Programs", "AllowUserRegister": True, "AllowLoginUnconfirmedEmail": True},
    "Entities": [
        {
            "Name": "Items",
            "Properties": [
                {"Name": "Title", "Type": "String", "Maximum": 50},
                {"Name": "Price", "Type": "Number"},
                {"Name": "Secret", "Type": "String", "Maximum": 50},
            ],
        },
        {"Name": "Diary", "Properties": [{"Name": "Text", "Type": "String", "Maximum": 50}]},
    ],
    "CustomEndpoints": [
        {"Name": "Count", "Query": "SELECT COUNT(*) AS [Number] FROM [Items]"},
        {"Name": "Mine", "Query": "SELECT [ID] FROM [Diary] WHERE [Owner] = {Owner}"},
    ],
    "Security": [
        *({"Entity": "Items", "Role": "AUTHENTICATED", "Action": a, "Properties": PROPERTIES} for a in ("get", "post")),
        {"Entity": "Items", "Role": "editor", "Action": "put", "Properties": PROPERTIES},
        {"Entity": "Items", "Role": "editor", "Action": "delete"},
        *(
            {"Entity": "Diary", "Role": "AUTHENTICATED", "Action": a, "Properties": ["Text"], "Record": "Owned"}
            for a in ("get", "post", "put", "delete")
        ),
        {"Entity": "Diary", "Role": "ANONYMOUS", "Action": "get", "Properties": ["Text"], "Record": "Owned"},
        {"CustomEndpoint": "Count", "Role": "AUTHENTICATED"},
        {"CustomEndpoint": "Mine", "Role": "AUTHENTICATED"},
        {"Schema": True, "Role": "AUTHENTICATED"},
    ],
}


class Programs:
    """An application with the user Anna, and the management of its tokens in the process of the test."""

    def __init__(self, server: Server, client: Client) -> None:
        self.server = server
        self.client = client
        self.anna = client.signed_in("Anna")
        ((self.anna_id,),) = server.sql(client.token, 'SELECT "ID" FROM "Users"')

    def manage(self, work: Callable[[ApiTokens], Awaitable[T]]) -> T:
        """Run ``work`` in another process than the server's."""

        async def run(instance: Instance) -> T:
            application = await instance.applications.find(self.client.token)
            assert application is not None
            return await work(ApiTokens(application))

        return self.server.with_instance(run)

    def issue(self, *scopes: str, user: bool = True, **more: Any) -> Issued:
        """A new token of Anna, or of the application."""
        draft = Draft(name="test", scopes=scopes, user_id=self.anna_id if user else None, **more)
        return self.manage(lambda tokens: tokens.create(draft, "tests"))

    def program(self, *scopes: str, user: bool = True, **more: Any) -> Client:
        """A client with a new token."""
        return self.client.as_user(self.issue(*scopes, user=user, **more).secret)

    def tenant(self, id: int) -> None:
        """Move Anna to another tenant in the database, and wait until every process has seen it."""
        update = 'UPDATE "Users" SET "Company_ID" = ? WHERE "ID" = ?'
        self.server.sql(self.client.token, update, (id, self.anna_id))
        time.sleep(SEEN_S)

    def roles(self, text: str | None) -> None:
        """Set Anna's roles in the database, and wait until every process has seen it."""
        self.server.sql(self.client.token, 'UPDATE "Users" SET "Roles" = ? WHERE "ID" = ?', (text, self.anna_id))
        time.sleep(SEEN_S)


def status(client: Client, entity: str = "Items") -> int:
    return client.get("Data/Get", entity=entity).status_code
