"""How large a description of types may be, and the simple types that it knows. Both sides run this file: the sandbox to
refuse a type where it is written, the host because anything may come out of a sandbox.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any
from uuid import UUID

MAX_DEPTH = 12
MAX_RECORDS = 64
MAX_FIELDS = 100
MAX_CHOICES = 200
MAX_NAME = 100
MAX_SPEC = 100_000
"""Longest description of a signature, in characters of JSON."""
MAX_LABEL = 500
MAX_INT_BITS = 256
"""Longest integer in a description, in bits; the values that come back may be of any length."""
MAX_TEXT = 2_000
"""Longest description of a type or field, in characters."""

SCALARS: dict[str, Any] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "date": dt.date,
    "datetime": dt.datetime,
    "time": dt.time,
    "timedelta": dt.timedelta,
    "decimal": Decimal,
    "uuid": UUID,
}
KEY_KINDS = frozenset({*SCALARS, "literal", "enum", "any"})
