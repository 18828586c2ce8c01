"""Files in buckets, on real servers of S3 and Azure; and the stores that every plugin may add."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from apilane.errors import ApilaneError, Code
from apilane.plugin.storage import Unavailable
from apilane.security.secret import Secret
from apilane.testing.client import Client, error_of
from apilane.testing.server import CHEAP_PASSWORDS, PATIENT, Server, free_port
from apilane_files.local import LocalStore
from apilane_objectstore.bucket import BucketStore
from apilane_objectstore.connections import connections
from apilane_objectstore.options import ObjectStoreSettings
from tests.http.uploads import FILES, FORM, body, download, part, upload
from tests.plugins.buckets import azure_server, s3_server
from tests.plugins.test_template import install

SERVERS: dict[str, Callable[[Path], AbstractContextManager[dict[str, str]]]] = {"s3": s3_server, "azure": azure_server}
LARGE = {**FILES, "Application": {"Name": "Large", "MaxAllowedFileSizeInKB": 25_600}}
APPLICATION = "a71a5000-0000-4000-8000-0000000000f1"


@pytest.fixture(scope="module", params=["s3", "azure"])
def bucket(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The settings of a bucket on a running server, with its name as ``store``."""
    name: str = request.param
    with SERVERS[name](tmp_path_factory.mktemp(name)) as settings:
        yield {**settings, "store": name}


def store_of(settings: dict[str, str], **changed: Any) -> BucketStore:
    """The store of a bucket."""
    given: dict[str, Any] = {name: value for name, value in settings.items() if name != "store"}
    for name in ("s3_access_key_id", "s3_secret_access_key", "azure_account_key"):
        if name in given:
            given[name] = Secret(given[name])
    options = ObjectStoreSettings(allow_http=True, prefix="tests/", **{**given, **changed})
    return BucketStore(settings["store"], options.prefix, connections(options)[settings["store"]])


async def chunks(content: bytes, size: int = 65_536, error: Exception | None = None) -> AsyncIterator[bytes]:
    """A content in chunks; ``error`` is raised at its end."""
    for start in range(0, len(content), size):
        yield content[start : start + size]
    if error is not None:
        raise error


async def holds(store: BucketStore | LocalStore) -> None:
    """Whether a store keeps its contract: contents small and large, ranges, names, deletes, failing sources."""
    small, large = os.urandom(1000), os.urandom(12_000_000)
    names = {str(uuid4()): small, str(uuid4()): large}
    for name, content in names.items():
        await store.put(APPLICATION, name, chunks(content))
        opened = await store.open(APPLICATION, name)
        assert opened is not None
        assert opened.size == len(content)
        assert b"".join([chunk async for chunk in opened.read()]) == content
        for offset, length in ((0, 1), (10, 500), (len(content) - 5, None), (len(content) - 5, 99)):
            end = None if length is None else offset + length
            assert b"".join([chunk async for chunk in opened.read(offset, length)]) == content[offset:end]
        await opened.close()
    assert {each.name async for each in store.names(APPLICATION)} == names.keys()
    assert [each async for each in store.names(str(uuid4()))] == []
    fault = ApilaneError(Code.ERROR, "the client stopped")
    for content in (small, large):
        failed = str(uuid4())
        with pytest.raises(ApilaneError, match="the client stopped"):
            await store.put(APPLICATION, failed, chunks(content, error=fault))
        assert await store.open(APPLICATION, failed) is None
    for name in (*names, str(uuid4())):
        await store.delete(APPLICATION, name)
        assert await store.open(APPLICATION, name) is None
    assert [each async for each in store.names(APPLICATION)] == []
    for wrong in ("../x", "", "x", f"{uuid4()}/x"):
        with pytest.raises(ValueError, match="is no name of a stored file"):
            await store.open(APPLICATION, wrong)


def test_contract_of_buckets(bucket: dict[str, str]) -> None:
    """A bucket keeps the contract of a file store."""
    asyncio.run(holds(store_of(bucket)))


def test_contract_of_the_local_store(tmp_path: Path) -> None:
    """So does the data folder, and only its owner can read it."""
    asyncio.run(holds(LocalStore(tmp_path)))
    assert {path.stat().st_mode & 0o077 for path in tmp_path.rglob("*")} == {0}


def test_files_of_an_application_in_a_bucket(
    bucket: dict[str, str], repository: Path, tmp_path: Path, http: httpx.Client
) -> None:
    """An application that chooses the bucket keeps its files there; its manifest decides, not the server's setting."""
    site = install(repository / "contrib/apilane-objectstore", tmp_path)
    settings = {f"objectstore_{name}": value for name, value in bucket.items() if name != "store"}
    chosen = {**CHEAP_PASSWORDS, **PATIENT, **settings, "objectstore_allow_http": "true"}
    server = Server(tmp_path / "data", settings=chosen)
    server.environ["PYTHONPATH"] = str(site)
    with server:
        token = server.apply({**LARGE, "Plugins": {"files": {"Store": bucket["store"].upper()}}})
        user = Client(http, server.url, token).signed_in("bucket")
        content = os.urandom(11_000_000)
        response = user.send("POST", "/api/Files/Post", body(part(content, "big.bin")), FORM)
        assert response.status_code == 200, response.text
        big, small = response.json(), upload(user).json()
        assert download(user, big).content == content
        assert download(user, big, Range="bytes=6000000-6000009").content == content[6_000_000:6_000_010]
        assert download(user, small).headers["content-type"] == "text/plain"
        assert list((server.data_dir / "apps" / token / "files").iterdir()) == []
        assert user.delete("Files/Delete", ids=f"{big},{small}").json() == [big, small]
        assert "Traceback" not in server.output(), server.output()[-3000:]
        assert all(secret not in server.output() for name, secret in bucket.items() if "key" in name)


def test_a_bucket_that_does_not_answer(tmp_path: Path) -> None:
    """A bucket that is unreachable, or that refuses the key, is unavailable with a reason that has no secret."""
    settings = {
        "store": "s3",
        "s3_bucket": "files",
        "s3_region": "us-east-1",
        "s3_access_key_id": "key-id-of-tests",
        "s3_secret_access_key": "secret-of-tests",
        "s3_endpoint": f"http://127.0.0.1:{free_port()}",
    }
    with pytest.raises(Unavailable, match="check the bucket and its settings") as caught:
        asyncio.run(store_of(settings, timeout_s=1).open(APPLICATION, str(uuid4())))
    assert "secret-of-tests" not in str(caught.value)


def test_unknown_stores(tmp_path: Path, http: httpx.Client) -> None:
    """An unknown store in the settings stops start-up; in a manifest the application's file calls are unavailable."""
    server = Server(tmp_path / "data", settings={**CHEAP_PASSWORDS, "files_store": "s3"})
    with pytest.raises(RuntimeError, match="the setting store is 's3'; there are: local"):
        server.start()
    with Server(tmp_path / "other", settings=CHEAP_PASSWORDS) as server:
        token = server.apply({**FILES, "Plugins": {"files": {"Store": "azure"}}})
        user = Client(http, server.url, token).signed_in("storeless")
        assert error_of(upload(user)).code == "SERVICE_UNAVAILABLE"
        assert "Plugins.files.Store is 'azure'; there are: local" in server.output()


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"prefix": "x"}, "expected names that end with"), ({"azure_container": "x"}, "azure_account is not")],
)
def test_wrong_settings(settings: dict[str, str], message: str) -> None:
    """A prefix without a slash, and a container without an account, are refused."""
    with pytest.raises(ValueError, match=message):
        ObjectStoreSettings(**settings)  # type: ignore[arg-type]
