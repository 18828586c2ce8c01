"""Opens the configured buckets. Secrets are read when a bucket is first used."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from obstore.store import AzureStore, GCSStore, S3Store

from apilane.plugin import Secret
from apilane_objectstore.options import ObjectStoreSettings

__all__ = ["Bucket", "Connect", "connections"]

Bucket = AzureStore | GCSStore | S3Store
Connect = Callable[[], Awaitable[Bucket]]

RETRIES = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}


def connections(options: ObjectStoreSettings) -> dict[str, Connect]:
    """How to open each bucket, by the name of its store."""
    client = {"allow_http": options.allow_http, "timeout": timedelta(seconds=options.timeout_s)}
    common: dict[str, Any] = {"client_options": client, "retry_config": RETRIES}

    async def s3() -> Bucket:
        given = {
            "region": options.s3_region,
            "endpoint": options.s3_endpoint,
            "access_key_id": await _text(options.s3_access_key_id),
            "secret_access_key": await _text(options.s3_secret_access_key),
        }
        return S3Store(options.s3_bucket, **_set(given), **common)

    async def gcs() -> Bucket:
        key = await _text(options.gcs_service_account_key)
        return GCSStore(options.gcs_bucket, **_set({"service_account_key": key}), **common)

    async def azure() -> Bucket:
        given = {
            "account_name": options.azure_account,
            "account_key": await _text(options.azure_account_key),
            "endpoint": options.azure_endpoint,
        }
        return AzureStore(options.azure_container, **_set(given), **common)

    buckets = (
        (options.s3_bucket, "s3", s3),
        (options.gcs_bucket, "gcs", gcs),
        (options.azure_container, "azure", azure),
    )
    return {name: connect for bucket, name, connect in buckets if bucket}


async def _text(secret: Secret | None) -> str | None:
    return None if secret is None else await secret.get()


def _set(given: dict[str, str | None]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}
