"""The steps of docs/howto/change-an-application.md that move values to a property of another type."""

from __future__ import annotations

from typing import Any

from apilane.client import Client, F
from apilane.services.operator_sign_in import operator_token
from apilane.testing.server import Server
from tests.manifests import unlimited_shop, with_new_token


def test_a_text_becomes_a_number(server: Server) -> None:
    """A new property, a copy by an operator, a removal and a rename give the values another type."""
    empty: dict[str, Any] = {"Reports": [], "Security": [], "CustomEndpoints": []}
    manifest = with_new_token({**unlimited_shop(), **empty})

    def applied(*properties: dict[str, Any]) -> str:
        return server.apply({**manifest, "Entities": [{"Name": "Items", "Properties": list(properties)}]})

    shop = applied({"Name": "Size"})
    owner = server.with_instance(lambda instance: operator_token(instance.store, "admin@example.com", 60_000))
    with Client(server.url, shop, user=owner, portal=True) as client:
        client.post("Items", [{"Size": "12"}, {"Size": None}, {"Size": "7"}])
        applied({"Name": "Size"}, {"Name": "Size_New", "Type": "Number"})
        for page in client.pages("Items", properties=["Size"], filter=F("Size").is_not_null()):
            client.put("Items", [{"ID": item["ID"], "Size_New": int(item["Size"])} for item in page])
        applied({"Name": "Size_New", "Type": "Number"})
        applied({"Name": "Size", "RenamedFrom": "Size_New", "Type": "Number"})
        assert [item["Size"] for item in client.get("Items").records] == [12, None, 7]
