"""Writes record types and a thin client of an application from its OpenAPI document (``apilane types``).

``model.py``: the parts of a document that the writers need. ``python.py``, ``typescript.py``: the writers.
"""

from __future__ import annotations
