"""``apilane.asgi:app`` for any ASGI server: the application with settings from ``apilane.toml`` and the environment."""

from __future__ import annotations

from apilane.app import create_app

__all__ = ["app"]

app = create_app()
