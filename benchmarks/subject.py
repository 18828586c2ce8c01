"""What is measured: one application, its data, and the three calls, the same for every server under test.

Source of the rows: generated from a fixed seed; 10,000 books, ten properties.
"""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from urllib.parse import quote

from apilane.app import create_instance
from apilane.model.definition import Action
from apilane.model.json import decode_json
from apilane.model.manifest.capabilities import Capabilities
from apilane.model.plan import plan, read_manifests
from apilane.runtime.application import ApplicationRuntime
from apilane.runtime.instance import Instance
from apilane.security.identity import Actor
from apilane.services import accounts, sessions, writing
from apilane.services.applying import apply_plan
from apilane.services.attempts import Attempts
from apilane.settings import Settings

ROWS = 10_000
PASSWORD = "benchmark-only"
PROPERTIES = ["Title", "Author", "Pages", "Price", "InPrint", "Released", "Language", "Rating", "Shelf", "Summary"]

MANIFEST = {
    "Apilane": 1,
    "Application": {"Name": "Benchmark", "AuthTokenExpireMinutes": 100000},
    "Entities": [
        {
            "Name": "Books",
            "Properties": [
                {"Name": "Title", "Type": "String", "Required": True, "Maximum": 200},
                {"Name": "Author", "Type": "String", "Maximum": 100},
                {"Name": "Pages", "Type": "Number", "Minimum": 0},
                {"Name": "Price", "Type": "Number", "DecimalPlaces": 2},
                {"Name": "InPrint", "Type": "Boolean"},
                {"Name": "Released", "Type": "Date"},
                {"Name": "Language", "Type": "String", "Maximum": 20},
                {"Name": "Rating", "Type": "Number", "DecimalPlaces": 1},
                {"Name": "Shelf", "Type": "Number"},
                {"Name": "Summary", "Type": "String"},
            ],
            "Indexes": [{"Properties": ["Pages"]}],
        }
    ],
    "Security": [
        {"Entity": "Books", "Role": "AUTHENTICATED", "Action": action, "Properties": PROPERTIES}
        for action in ("get", "post")
    ],
}

FILTER = json.dumps({"Property": "Pages", "Operator": "greaterorequal", "Value": 900})
SORT = json.dumps([{"Property": "Pages", "Direction": "ASC"}])
PAGE_TARGET = f"/api/Data/Get?entity=Books&pageSize=20&filter={quote(FILTER)}&sort={quote(SORT)}"
BY_ID_TARGET = "/api/Data/GetByID?entity=Books&id="
POST_TARGET = "/api/Data/Post?entity=Books"


def book(number: int, random_source: random.Random) -> dict[str, object]:
    """One record as a client would send it."""
    return {
        "Title": f"Book number {number}",
        "Author": f"Author {random_source.randrange(500)}",
        "Pages": random_source.randrange(50, 1000),
        "Price": random_source.randrange(100, 9900) / 100,
        "InPrint": random_source.random() < 0.7,
        "Released": 1_600_000_000_000 + number * 1000,
        "Language": random_source.choice(["English", "Greek", "French", "German"]),
        "Rating": random_source.randrange(10, 50) / 10,
        "Shelf": random_source.randrange(40),
        "Summary": "A short text about the book. " * 4,
    }


async def _apply(instance: Instance) -> ApplicationRuntime:
    """The application of ``MANIFEST``, made the way ``apilane apply`` makes it."""
    manifest = read_manifests(json.dumps(MANIFEST), filename="benchmark.json", environ={})[0]
    capabilities = Capabilities(
        providers=frozenset({"SQLite"}), embedded=frozenset({"SQLite"}), enforces=frozenset(), plugin_sections={}
    )
    made = await apply_plan(
        plan(manifest, None, capabilities=capabilities),
        store=instance.store,
        drivers=instance.drivers,
        settings=instance.settings,
        actor="benchmark",
    )
    application = await instance.applications.find(made.definition.token)
    if application is None:
        raise SystemExit("the benchmark application was not made")
    return application


async def prepare(data_dir: Path) -> tuple[str, str]:
    """Make the application with its data in ``data_dir``: ``(application token, user token)``."""
    instance = create_instance(Settings(data_dir=data_dir))
    await instance.open()
    try:
        application = await _apply(instance)
        operator = Attempts((), application.token, "127.0.0.1")
        user = {"Email": "bench@example.com", "Username": "bench", "Password": PASSWORD}
        user_id = await accounts.register(application, user, instance.passwords, operator)
        credentials = sessions.Credentials(email="bench@example.com", password=PASSWORD)
        signed_in = await sessions.log_in(application, credentials, instance.passwords, operator)
        source = random.Random(7)
        books, actor = application.entities["books"], Actor(user_id=user_id)
        access = application.access(books, Action.post, actor)
        for start in range(0, ROWS, 1000):
            body = json.dumps([book(number, source) for number in range(start, start + 1000)]).encode()
            await writing.post(books, actor, access, decode_json(body))
        return application.token, signed_in.token
    finally:
        await instance.close()


def prepare_now(data_dir: Path) -> tuple[str, str]:
    """``prepare`` for a plain script."""
    return asyncio.run(prepare(data_dir))
