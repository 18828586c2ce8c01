"""The Portal: pages to manage an instance in a browser (docs/howto/portal.md).

``site.py`` makes the answers, ``frame.py`` the navigation; each other module has the pages of one subject. Pages work
without JavaScript.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from apilane.plugin import hookimpl

if TYPE_CHECKING:
    from apilane.plugin.manage import PortalPage

__all__ = ["apilane_register_portal_pages"]


@hookimpl
def apilane_register_portal_pages() -> list[PortalPage]:
    """All pages of the Portal. Imported here, because the workers of the API do not need them."""
    from apilane_portal.pages import portal_pages

    return portal_pages()
