"""What the author of a storage driver imports: the contract, the SQL of the product, and pieces that drivers share."""

from __future__ import annotations

from apilane.storage.errors import Unavailable

__all__ = ["Unavailable"]
