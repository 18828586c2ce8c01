"""The OpenAPI 3.1 document of an application: the calls that a caller may make, with the types of its records.

``rights.py``: what the caller may do. ``records.py``, ``examples.py``: schemas and examples of records. ``types.py``:
schemas of Python types. ``operations.py``, ``parts.py``: one operation for each call. ``document.py``: the whole
document. ``page.py``: answers requests.
"""

from __future__ import annotations

from apilane.web.openapi.document import application_document
from apilane.web.openapi.page import PATHS, openapi_page

__all__ = ["PATHS", "application_document", "openapi_page"]
