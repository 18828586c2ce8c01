"""Tests of the plugin's functions, and of the plugin in a real server."""

from __future__ import annotations

import time as clock
from collections.abc import Iterator
from datetime import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from apilane.testing.client import Client, error_of
from apilane.testing.server import ManifestErrors, Server
from apilane_template.slug import slug_of
from apilane_template.window import MaintenanceWindow

MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Example"},
    "CustomEndpoints": [{"Name": "Greeting", "Kind": "text", "Query": "Hello {Name}!"}],
    "Entities": [
        {
            "Name": "Pages",
            "Properties": [
                {"Name": "Title", "Type": "String", "Required": True},
                {"Name": "Slug", "Type": "String", "Required": True, "Maximum": 20},
            ],
            "Constraints": [{"Type": "Unique", "Properties": ["Slug"]}],
        },
        {"Name": "Notes", "Properties": [{"Name": "Title", "Type": "String"}]},
    ],
    "Security": [
        {"CustomEndpoint": "Greeting", "Role": "ANONYMOUS"},
        {"Entity": "Pages", "Role": "ANONYMOUS", "Action": "post", "Properties": ["Title"]},
        {"Entity": "Pages", "Role": "ANONYMOUS", "Action": "put", "Properties": ["Title"]},
        {"Entity": "Pages", "Role": "ANONYMOUS", "Action": "get", "Properties": ["ID", "Title", "Slug"]},
        {"Entity": "Notes", "Role": "ANONYMOUS", "Action": "post", "Properties": ["Title"]},
    ],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server") / "data") as running:
        yield running


@pytest.fixture
def caller(server: Server) -> Iterator[Client]:
    with httpx.Client(trust_env=False) as http:
        yield Client(http, server.url, server.apply(MANIFEST))


def is_refused(window: str, hour: int, minute: int) -> bool:
    """Whether the window refuses a caller at that time of day."""
    return MaintenanceWindow(window).is_closed(time(hour, minute))


def test_the_window_closes_and_opens() -> None:
    """The begin is inside the window, the end is not, and a window can include midnight."""
    assert [is_refused("02:00-02:30", 2, minute) for minute in (0, 29, 30)] == [True, True, False]
    assert [is_refused("23:00-01:00", hour, 0) for hour in (22, 23, 0, 1)] == [False, True, True, False]


def test_a_window_that_cannot_be_read() -> None:
    """An invalid window raises ValueError with the expected form."""
    with pytest.raises(ValueError, match="expected two times such as"):
        MaintenanceWindow("at night")


def test_the_server_is_closed_in_the_window(tmp_path: Path) -> None:
    """In the window every application answers SERVICE_UNAVAILABLE with the reason."""
    settings = {"template_window": "00:00-23:59:59.999999"}
    with Server(tmp_path / "data", settings=settings) as server, httpx.Client(trust_env=False) as http:
        caller = Client(http, server.url, server.apply(MANIFEST))
        error = error_of(caller.get("Custom/Greeting", Name="Anna"))
    assert (error.code, error.message) == ("SERVICE_UNAVAILABLE", "Maintenance until 23:59 UTC")


def test_the_text_is_filled(caller: Client) -> None:
    """The caller's value replaces its mark, unchanged."""
    assert caller.get("Custom/Greeting", Name="{Anna}").json() == [[{"Text": "Hello {Anna}!"}]]


def test_a_missing_parameter_is_named(caller: Client) -> None:
    """The error names the first mark that has no value."""
    error = error_of(caller.get("Custom/Greeting"))
    assert (error.code, error.property) == ("REQUIRED", "Name")


def test_apply_refuses_a_broken_text(server: Server) -> None:
    """A brace that belongs to no mark is refused before anything is stored."""
    broken = {**MANIFEST, "CustomEndpoints": [{"Name": "Greeting", "Kind": "text", "Query": "Hello {Name"}]}
    with pytest.raises(ManifestErrors, match="belongs to no mark"):
        server.apply(broken)


def test_the_form_of_a_slug() -> None:
    """A slug has letters and digits without accents, and dashes between words; it may be empty."""
    assert slug_of("  Ένα, deux & THREE déjà-vu! ") == "deux-three-deja-vu"
    assert slug_of("...") == ""


def test_records_get_a_slug(caller: Client) -> None:
    """A new or changed title sets the slug, which the caller may not write; the database keeps slugs unique."""
    first, second = caller.post("Data/Post", [{"Title": "Hello, World"}, {"Title": "Next"}], entity="Pages").json()
    assert caller.record("Pages", first)["Slug"] == "hello-world"
    assert caller.put("Data/Put", {"ID": second, "Title": "The Last"}, entity="Pages").json() == 1
    assert caller.record("Pages", second)["Slug"] == "the-last"
    assert error_of(caller.post("Data/Post", {"Title": "hello world"}, entity="Pages")).property == "Slug"


def test_a_slug_is_checked(caller: Client) -> None:
    """A slug that is longer than the property allows is refused like a value of the caller."""
    error = error_of(caller.post("Data/Post", {"Title": "much longer than twenty letters"}, entity="Pages"))
    assert (error.code, error.property) == ("VALIDATION", "Slug")


def test_new_records_are_counted(server: Server, caller: Client) -> None:
    """After the commit the number of new records is added; entities without a slug are not counted."""
    for titles in (["One"], ["Two", "Three"]):
        caller.post("Data/Post", [{"Title": title} for title in titles], entity="Pages")
    caller.post("Data/Post", {"Title": "One"}, entity="Notes")
    deadline = clock.monotonic() + 20
    counted, stored = 'SELECT "Entity", "Created" FROM "H_Slugs"', "SELECT 'Pages', COUNT(*) FROM \"Pages\""
    while server.sql(caller.token, counted) != server.sql(caller.token, stored):
        assert clock.monotonic() < deadline, server.sql(caller.token, counted)
        clock.sleep(0.02)
