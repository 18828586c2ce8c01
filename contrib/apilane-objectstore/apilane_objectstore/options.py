"""The settings of buckets."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from apilane.plugin import Secret

__all__ = ["ObjectStoreSettings"]


class ObjectStoreSettings(Struct, frozen=True, kw_only=True):
    """The buckets of the server. A store exists when its bucket is set."""

    prefix: Annotated[str, Meta(description="Beginning of the name of every object, such as apilane/.")] = ""
    allow_http: Annotated[bool, Meta(description="Whether an endpoint may be http://, without encryption.")] = False
    timeout_s: Annotated[float, Meta(gt=0, description="Seconds that one request to a bucket may take.")] = 30.0
    s3_bucket: Annotated[str | None, Meta(description="Bucket of the store s3.")] = None
    s3_region: Annotated[str | None, Meta(description="Region of the bucket.")] = None
    s3_endpoint: Annotated[str | None, Meta(description="Address of a server that speaks S3; unset: Amazon.")] = None
    s3_access_key_id: Annotated[Secret | None, Meta(description="Key ID; unset: credentials of the machine.")] = None
    s3_secret_access_key: Annotated[Secret | None, Meta(description="Key.")] = None
    gcs_bucket: Annotated[str | None, Meta(description="Bucket of the store gcs.")] = None
    gcs_service_account_key: Annotated[
        Secret | None, Meta(description="Key of a service account, JSON; unset: credentials of the machine.")
    ] = None
    azure_container: Annotated[str | None, Meta(description="Container of the store azure.")] = None
    azure_account: Annotated[str | None, Meta(description="Storage account of the container.")] = None
    azure_endpoint: Annotated[str | None, Meta(description="Address of the account; unset: that of Azure.")] = None
    azure_account_key: Annotated[
        Secret | None, Meta(description="Key of the account; unset: credentials of the machine.")
    ] = None

    def __post_init__(self) -> None:
        if self.prefix and (not self.prefix.endswith("/") or self.prefix.startswith("/") or ".." in self.prefix):
            raise ValueError(f"the prefix is {self.prefix!r}; expected names that end with '/', such as 'apilane/'")
        if self.azure_container and not self.azure_account:
            raise ValueError("azure_container is set and azure_account is not; set both")
