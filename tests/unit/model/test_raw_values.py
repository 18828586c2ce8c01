"""Raw values of an import: stored as sent, when they have the type of the property and fit its column."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from apilane.errors import ApilaneError
from apilane.model.definition import Property, PropertyType
from apilane.model.json import decode_json
from apilane.model.raw_values import raw_reader

TEXT = Property(name="Text", minimum=3, maximum=5, validation_regex="^[A-Z]+$")
WHOLE = Property(name="Whole", type=PropertyType.Number, minimum=10, maximum=20)
MONEY = Property(name="Money", type=PropertyType.Number, decimal_places=2)
FLAG = Property(name="Flag", type=PropertyType.Boolean, required=True)
MOMENT = Property(name="Moment", type=PropertyType.Date, minimum=0)


@pytest.mark.parametrize(
    ("property", "sent", "stored"),
    [
        (TEXT, '" a "', " a "),
        (TEXT, '""', ""),
        (TEXT, "null", None),
        (WHOLE, "-7", -7),
        (WHOLE, "7.9", 7),
        (MONEY, "1.239", Decimal("1.23")),
        (FLAG, "true", True),
        (FLAG, "0", False),
        (FLAG, "null", None),
        (MOMENT, "1500000000", 1500000000),
        (MOMENT, "-1", -1),
    ],
)
def test_values_are_stored_as_sent(property: Property, sent: str, stored: Any) -> None:
    """The rules of a property do not apply, text keeps its blanks, and 10 digits of a date are milliseconds."""
    found = raw_reader("Things", property, exact_decimals=True)(decode_json(sent.encode()))
    assert (type(found), found) == (type(stored), stored)


@pytest.mark.parametrize(
    ("property", "sent", "says"),
    [
        (TEXT, "5", "Invalid text"),
        (TEXT, "{}", "Invalid text"),
        (TEXT, '"a\\u0000"', "Invalid text"),
        (TEXT, '"123456"', "Maximum 5 characters"),
        (TEXT, '"🎈🎈🎈"', "Maximum 5 characters"),
        (WHOLE, '"7"', "Invalid number"),
        (WHOLE, "true", "Invalid number"),
        (WHOLE, "9223372036854775808", "Invalid number"),
        (WHOLE, "1e400", "Invalid number"),
        (MONEY, "12345678901234567.5", "Invalid number"),
        (FLAG, '"true"', "Invalid boolean: expected true or false"),
        (FLAG, "2", "Invalid boolean: expected true or false"),
        (FLAG, "[]", "Invalid boolean: expected true or false"),
        (MOMENT, '"2026-01-31"', "Invalid date: expected unix milliseconds"),
        (MOMENT, "1.5", "Invalid date: expected unix milliseconds"),
        (MOMENT, "99999999999999999", "Invalid date: expected unix milliseconds"),
    ],
)
def test_other_values_are_refused(property: Property, sent: str, says: str) -> None:
    """A value of another type, or one that does not fit, is VALIDATION with the name of the property."""
    with pytest.raises(ApilaneError) as caught:
        raw_reader("Things", property, exact_decimals=True)(decode_json(sent.encode()))
    error = caught.value
    assert (error.code, error.message, error.property, error.entity) == ("VALIDATION", says, property.name, "Things")
