"""File stores in buckets: ``s3``, ``gcs`` and ``azure``, each where its bucket is set."""

from __future__ import annotations

from apilane.plugin import PluginSettings, hookimpl
from apilane_objectstore.bucket import BucketStore
from apilane_objectstore.connections import connections
from apilane_objectstore.options import ObjectStoreSettings

__all__ = ["apilane_register_file_stores", "apilane_register_settings"]


@hookimpl
def apilane_register_settings() -> list[PluginSettings]:
    """Buckets and their credentials."""
    return [PluginSettings(instance=ObjectStoreSettings)]


@hookimpl
def apilane_register_file_stores(options: ObjectStoreSettings) -> list[BucketStore]:
    """A store for each bucket. Nothing is connected yet."""
    return [BucketStore(name, options.prefix, connect) for name, connect in connections(options).items()]
