"""Makes data folders with the application of ``benchmarks.subject``, alone or among 10,000 applications.

All data goes through the product's services, except data that would take minutes: the five million rows are one SQL
statement, and the many applications are written to the control store, with copies of one file as their databases.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import apsw
import msgspec

from apilane.control.folders import application_folder, make_application_folder
from apilane.control.store import ControlStore, StoredApplication
from apilane.instance import Instance, open_instance
from apilane.model.definition import Action
from apilane.model.json import decode_json
from apilane.plugin.identity import ANONYMOUS, Actor
from apilane.runtime.application import ApplicationRuntime
from apilane.security.tokens import new_token
from apilane.services import accounts, record_post, sessions
from apilane.services.attempts import Attempts
from apilane.services.capabilities import capabilities_of
from apilane.services.manifest_plans import plan_files
from apilane.settings import Settings
from benchmarks.subject import BOOKS_SQL, LOANS, PASSWORD, ROWS, USERS, book, loan, manifest, originals, user

AT_ONCE = 500
"""Applications written to the control store concurrently; they share commits."""
MANY_ROWS = 100
"""Books in each of the many applications: 10,000 files must be copied in seconds."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A data folder with its application, and the credentials of its first user."""

    data_dir: Path
    application: str
    rows: int
    bearer: str
    key_id: int
    others: tuple[str, ...] = ()
    """Tokens of the other applications; the bearer token is valid in each of them."""


def settings(data_dir: Path) -> Settings:
    """The product's settings: defaults, but many sign-ins from one address."""
    many = {"login_account_failures": 100_000, "login_address_failures": 100_000}
    return Settings(data_dir=data_dir, plugin_settings={"rate_limit": many})


def make_place(data_dir: Path, *, rows: int = ROWS, provider: str = "SQLite", url: str | None = None) -> Place:
    """A new instance with the application, its users and its books. More than 1,000 rows need SQLite."""

    async def work() -> Place:
        async with open_instance(settings(data_dir)) as instance:
            application = await _apply(instance, provider, url)
            attempts = Attempts((), application.token, "127.0.0.1")
            for number in range(USERS):
                await accounts.register(application, user(number), instance.passwords, attempts, ANONYMOUS)
            credentials = sessions.Credentials(email=user(0)["Email"], password=PASSWORD)
            signed_in = await sessions.log_in(application, credentials, instance.passwords, attempts)
            await _store_books(application, min(rows, ROWS), instance)
            return Place(
                data_dir=data_dir,
                application=application.token,
                rows=rows,
                bearer=signed_in.token,
                key_id=signed_in.token_id,
            )

    data_dir.mkdir()
    place = asyncio.run(work())
    if rows > ROWS:
        _fill(_database(place), ROWS + 1, rows)
    return place


async def _apply(instance: Instance, provider: str, url: str | None) -> ApplicationRuntime:
    """The application, made as ``apilane apply`` makes it."""
    file = ("benchmark.json", json.dumps(manifest(provider, url)).encode())
    (plan,) = await plan_files([file], store=instance.store, capabilities=capabilities_of(instance.hooks))
    made = await instance.changes.apply(plan, actor="benchmark")
    application = await instance.applications.find(made.definition.token)
    assert application is not None
    return application


async def _store_books(application: ApplicationRuntime, rows: int, instance: Instance) -> None:
    drafts, books = application.entities["drafts"], application.entities["books"]
    actor = Actor(kind="user", user_id=1)
    access = application.access(drafts, Action.post, actor)  # books have no rule for it; posts have the same properties
    body = json.dumps([book(number) for number in range(1, rows + 1)]).encode()
    await (await record_post.post(books, actor, access, decode_json(body))).run()
    loans = [loan(number) for number in range(1, LOANS + 1)]
    for name, records in (("loans", loans), ("originals", originals()), ("copies", loans)):
        entity = application.entities[name]
        access = application.access(entity, Action.post, actor)
        body = json.dumps(records).encode()
        await (await record_post.post(entity, actor, access, decode_json(body))).run()


def _database(place: Place) -> Path:
    return application_folder(place.data_dir, place.application) / "data.db"


def _fill(path: Path, first: int, last: int) -> None:
    """The books with these numbers. Not durable meanwhile: after a crash the run starts again."""
    connection = apsw.Connection(str(path))
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-1000000"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    with connection:  # five million take 25 s of processor time, or 12 s with the indexes made at the end
        indexes = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'Books' AND sql IS NOT NULL"
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f'DROP INDEX "{name}"')
        connection.execute(BOOKS_SQL, (first, last))
        for _, text in indexes:
            connection.execute(str(text))
    connection.execute("PRAGMA journal_mode=WAL").fetchall()
    connection.close()


def read_through(place: Place) -> None:
    """Read the whole database into the system's memory, if it fits: the disk is not measured."""
    with _database(place).open("rb") as file:
        while file.read(1 << 20):
            pass


def copy_place(place: Place, data_dir: Path) -> Place:
    """A copy of the instance: two servers cannot share one."""
    shutil.copytree(place.data_dir, data_dir)
    return msgspec.structs.replace(place, data_dir=data_dir)


def make_crowd(place: Place, data_dir: Path, count: int) -> Place:
    """A copy of ``place`` in which its application is one of ``count``, each with a separate database."""
    crowd = copy_place(place, data_dir)
    template = data_dir / "template.db"
    source = apsw.Connection(str(_database(crowd)))
    source.execute("VACUUM INTO ?", (str(template),))
    source.close()
    small = apsw.Connection(str(template))
    small.execute("DELETE FROM Books WHERE ID > ?", (MANY_ROWS,))
    small.execute("VACUUM")
    small.close()

    async def work() -> tuple[str, ...]:
        async with open_instance(settings(data_dir)) as instance:
            model = await instance.store.application(crowd.application)
            assert model is not None
            tokens = [new_token() for _ in range(count - 1)]
            for start in range(0, len(tokens), AT_ONCE):
                group = tokens[start : start + AT_ONCE]
                await asyncio.gather(*(_publish(instance.store, model, token) for token in group))
            return tuple(tokens)

    tokens = asyncio.run(work())
    for token in tokens:
        make_application_folder(data_dir, token)
        shutil.copyfile(template, application_folder(data_dir, token) / "data.db")
    return msgspec.structs.replace(crowd, others=tokens)


async def _publish(store: ControlStore, model: StoredApplication, token: str) -> None:
    """Another application with the definition and the keys of ``model``."""
    definition = msgspec.structs.replace(model.definition, token=token, name=f"Benchmark {token[:8]}")
    await store.begin(definition, model.secrets, None, "benchmark")
    await store.publish(token)
