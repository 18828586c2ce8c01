"""Store the demo's accounts and records on a running server; a second run finds them and adds nothing.

Records are sent through the public HTTP API, as by any client. Roles are not: no rule of the demo allows a caller to
give roles, so that step opens the instance in this process and uses the accounts service.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import world

from apilane.client import ApilaneError, Client, F, Record

__all__ = ["ACCOUNTS", "Account", "count", "fill_atlas", "fill_private", "find_id", "log_in", "open_accounts"]

BATCH = 500


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


def log_in(client: Client, account: Account) -> Record | None:
    """Sign the client in. Returns the user, or None when the credentials are wrong."""
    try:
        return client.login(email=account.email, password=account.password).user
    except ApilaneError as error:
        if error.status == 400:
            return None
        raise


def count(client: Client, entity: str) -> int:
    """The number of records of the entity that the caller may read."""
    return client.get(entity, page_size=1, total=True).total or 0


def find_id(client: Client, entity: str, name: str) -> int:
    """The ID of the first record with that name in the entity's default order: of cities, the largest."""
    page = client.get(entity, page_size=1, filter=F("Name") == name)
    return int(page.records[0]["ID"])


async def open_accounts(client: Client, application: str, data_dir: Path) -> None:
    """Register the accounts that are missing and give each its roles."""
    roles = {}
    for account in ACCOUNTS:
        user = log_in(client, account)
        if user is None:
            body = {"Email": account.email, "Username": account.name, "Password": account.password}
            user = {"ID": client.register(body), "Roles": None}
        if user["Roles"] != account.roles:
            roles[user["ID"]] = account.roles
    if roles:
        await _give_roles(roles, application, data_dir)


async def _give_roles(roles: Mapping[int, str | None], application: str, data_dir: Path) -> None:
    from apilane.instance import open_instance
    from apilane.services.accounts import set_roles
    from apilane.settings import load_settings

    async with open_instance(load_settings({"data_dir": data_dir})) as instance:
        runtime = await instance.applications.find(application)
        assert runtime is not None, "the manifest was applied to this data dir"
        for user_id, names in roles.items():
            await set_roles(runtime, user_id, names)


def fill_atlas(editor: Client, limit: int | None, progress: Callable[[int, int], None]) -> None:
    """Post the countries and cities that are missing, ``BATCH`` at a time.

    Each batch is one transaction. ``limit``: the number of cities, the largest first. ``progress``: called with the
    number of cities stored and wanted.
    """
    known = {country["Code"] for country in editor.iterate("Countries", properties="Code")}
    missing = [country for country in world.countries() if country["Code"] not in known]
    if missing:
        editor.post("Countries", missing)
    country_ids = {country["Code"]: country["ID"] for country in editor.iterate("Countries", properties="Code")}
    wanted = world.cities(country_ids)[:limit]
    if count(editor, "Cities") >= len(wanted):
        return
    stored = {city["Geoname"] for city in editor.iterate("Cities", properties="Geoname")}
    missing = [city for city in wanted if city["Geoname"] not in stored]
    for start in range(0, len(missing), BATCH):
        batch = missing[start : start + BATCH]
        editor.post("Cities", batch)
        progress(len(wanted) - len(missing) + start + len(batch), len(wanted))


def fill_private(user: Client) -> None:
    """Post favourites and trips of the user, unless the user has some."""
    if not count(user, "Favourites"):
        user.post("Favourites", _favourites(user))
    if not count(user, "Trips"):
        user.post("Trips", _trips(user))


def _favourites(user: Client) -> Sequence[dict[str, Any]]:
    return [{"CityID": find_id(user, "Cities", city), "Note": note} for city, note in FAVOURITES]


def _trips(user: Client) -> Sequence[dict[str, Any]]:
    names = ("Title", "Starts", "Ends", "Budget", "Notes")
    return [{"CityID": find_id(user, "Cities", city), **dict(zip(names, rest, strict=True))} for city, *rest in TRIPS]
