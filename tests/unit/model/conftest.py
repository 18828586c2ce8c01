"""An entity with every type, and the properties that a caller may read."""

from __future__ import annotations

import pytest

from apilane.model.definition import Entity, Property, PropertyType
from apilane.model.system import custom_entity


@pytest.fixture(scope="session")
def products() -> Entity:
    """Products: one property of each type, an encrypted one, and ``Margin``, which is not in ``readable``."""
    return custom_entity(
        "Products",
        (
            Property(name="Title", maximum=200),
            Property(name="Price", type=PropertyType.Number, decimal_places=2),
            Property(name="Stock", type=PropertyType.Number, decimal_places=0),
            Property(name="InStock", type=PropertyType.Boolean),
            Property(name="Released", type=PropertyType.Date),
            Property(name="Supplier", encrypted=True),
            Property(name="Margin", type=PropertyType.Number, decimal_places=2),
        ),
    )


@pytest.fixture(scope="session")
def readable() -> frozenset[str]:
    """All properties except ``Margin``."""
    return frozenset({"title", "price", "stock", "instock", "released", "supplier", "created", "owner"})
