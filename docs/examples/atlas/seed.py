"""Fill a running server with the demo's accounts and records; a second run finds them and adds nothing.

Records go through the public HTTP API, as any client would send them. Roles do not: nobody may give the first role over
HTTP, so that step opens the instance in this process and asks the accounts service.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import world

__all__ = ["ACCOUNTS", "Account", "Client", "fill_atlas", "fill_private", "open_accounts"]

BATCH = 500
PAGE = 1000


class Account(NamedTuple):
    """One of the demo's users. The password is fixed and public: the demo listens on the loopback address only."""

    name: str
    password: str
    roles: str | None
    may: str

    @property
    def email(self) -> str:
        return f"{self.name}@example.com"


ACCOUNTS = (
    Account("anna", "anna-likes-maps", None, "keeps favourites and trips"),
    Account("eddy", "eddy-likes-facts", "editor", "adds and corrects countries and cities"),
    Account("gina", "gina-likes-guests", "guide", "writes the advice of cities"),
)

FAVOURITES = (("Istanbul", "Ferries at dusk"), ("Kyoto", "In November"), ("Nairobi", None))
TRIPS = (
    ("Kyoto", "Autumn leaves", "2027-11-12", "2027-11-26", 2450.5, "Ask Yuki about the key"),
    ("Istanbul", "A long weekend", "2027-04-30", "2027-05-03", 780, None),
)


class Client:
    """Calls of one user (or of nobody) to one application; anything but 200 raises with the server's own words."""

    def __init__(self, url: str, application: str) -> None:
        self._http = httpx.Client(base_url=url, headers={"x-application-token": application}, timeout=60)
        self.token = ""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def call(self, method: str, path: str, body: object = None, **query: object) -> Any:
        """The decoded answer of ``/api/{path}``."""
        answer = self._http.request(method, f"/api/{path}", params={k: str(v) for k, v in query.items()}, json=body)
        if answer.status_code != 200:
            raise RuntimeError(f"{method} {path} {query} was answered {answer.status_code}: {answer.text}")
        return answer.json()

    def log_in(self, account: Account) -> dict[str, Any] | None:
        """Go on as that user; the user, or None when the server does not know these credentials."""
        body = {"Email": account.email, "Password": account.password}
        answer = self._http.post("/api/Account/Login", json=body)
        if answer.status_code == 400:
            return None
        answer.raise_for_status()
        signed_in: dict[str, Any] = answer.json()
        self.token = signed_in["AuthToken"]
        self._http.headers["Authorization"] = f"Bearer {self.token}"
        user: dict[str, Any] = signed_in["User"]
        return user

    def total(self, entity: str) -> int:
        """How many records of the entity the caller can see."""
        return int(self.call("GET", "Data/Get", entity=entity, pageSize=1, getTotal="true")["Total"])

    def find_id(self, entity: str, name: str) -> int:
        """The ID of the first record of that name in the entity's default order; of cities, the largest."""
        condition = json.dumps({"Property": "Name", "Operator": "equal", "Value": name})
        return int(self.call("GET", "Data/Get", entity=entity, pageSize=1, filter=condition)["Data"][0]["ID"])

    def every(self, entity: str, properties: str) -> list[dict[str, Any]]:
        """All records the caller can see, page by page."""
        records: list[dict[str, Any]] = []
        sort = json.dumps([{"Property": "ID", "Direction": "ASC"}])
        for page in range(1, 1_000_000):
            query = {"entity": entity, "properties": properties, "sort": sort, "pageIndex": page, "pageSize": PAGE}
            found = self.call("GET", "Data/Get", **query)["Data"]
            records += found
            if len(found) < PAGE:
                break
        return records


async def open_accounts(client: Client, application: str, data_dir: Path) -> None:
    """Register the accounts that are missing and give each its roles."""
    roles = {}
    for account in ACCOUNTS:
        user = client.log_in(account)
        if user is None:
            body = {"Email": account.email, "Username": account.name, "Password": account.password}
            user = {"ID": client.call("POST", "Account/Register", body), "Roles": None}
        if user["Roles"] != account.roles:
            roles[user["ID"]] = account.roles
    if roles:
        await _give_roles(roles, application, data_dir)


async def _give_roles(roles: Mapping[int, str | None], application: str, data_dir: Path) -> None:
    from apilane.app import create_instance
    from apilane.services.accounts import set_roles
    from apilane.settings import load_settings

    instance = create_instance(load_settings({"data_dir": data_dir}))
    await instance.open()
    try:
        runtime = await instance.applications.find(application)
        assert runtime is not None, "the manifest was applied to this data dir"
        for user_id, names in roles.items():
            await set_roles(runtime, user_id, names)
    finally:
        await instance.close()


def fill_atlas(editor: Client, limit: int | None, progress: Callable[[int, int], None]) -> None:
    """Post the countries and cities that are not there yet, ``BATCH`` at a time.

    Each batch is stored whole or not at all. ``limit``: only so many cities, the largest. ``progress``: called with the
    cities stored and wanted.
    """
    known = {country["Code"] for country in editor.every("Countries", "Code")}
    missing = [country for country in world.countries() if country["Code"] not in known]
    if missing:
        editor.call("POST", "Data/Post", missing, entity="Countries")
    country_ids = {country["Code"]: country["ID"] for country in editor.every("Countries", "Code")}
    wanted = world.cities(country_ids)[:limit]
    if editor.total("Cities") >= len(wanted):
        return
    stored = {city["Geoname"] for city in editor.every("Cities", "Geoname")}
    missing = [city for city in wanted if city["Geoname"] not in stored]
    for start in range(0, len(missing), BATCH):
        batch = missing[start : start + BATCH]
        editor.call("POST", "Data/Post", batch, entity="Cities")
        progress(len(wanted) - len(missing) + start + len(batch), len(wanted))


def fill_private(user: Client) -> None:
    """Favourites and trips of the user, unless there are some already."""
    if not user.total("Favourites"):
        user.call("POST", "Data/Post", _favourites(user), entity="Favourites")
    if not user.total("Trips"):
        user.call("POST", "Data/Post", _trips(user), entity="Trips")


def _favourites(user: Client) -> Sequence[dict[str, Any]]:
    return [{"CityID": user.find_id("Cities", city), "Note": note} for city, note in FAVOURITES]


def _trips(user: Client) -> Sequence[dict[str, Any]]:
    names = ("Title", "Starts", "Ends", "Budget", "Notes")
    return [{"CityID": user.find_id("Cities", city), **dict(zip(names, rest, strict=True))} for city, *rest in TRIPS]
