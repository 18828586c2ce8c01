"""The API browser at ``/docs``, and at ``/swagger/index.html`` as in Apilane 8.7: Swagger UI for ``/openapi.json``.

The parameter ``appToken`` chooses the application. All files are in this package; the pages load nothing from other
servers. Without this plugin the document is still there.
"""

from __future__ import annotations

from apilane.plugin import Page, hookimpl
from apilane_api_docs.pages import browser_pages

__all__ = ["apilane_register_routes"]


@hookimpl
def apilane_register_routes() -> list[Page]:
    """The page and its assets, which need no application and no caller."""
    return browser_pages()
