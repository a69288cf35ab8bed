"""Lists of typed records out of documents."""

from __future__ import annotations

from typing import Any

import dspy
import pydantic
from dspy.signatures.signature import make_signature

from rlm_module.errors import InputError
from rlm_module.signatures.documents import Documents

_INSTRUCTIONS = """\
Find every record of the wanted kind in the documents.

Work through all of the text, not through samples of it: where records have a layout, take them out by code; elsewhere \
split the documents into overlapping pieces and let sub-LMs return the records of each piece as typed values. Put what \
was found twice together, leave out what the text does not state, and before you submit compare the number of records \
with what the documents lead you to expect."""


def extract_records(record: type[pydantic.BaseModel], instructions: str = _INSTRUCTIONS) -> type[dspy.Signature]:
    """The signature `documents: Documents -> records: list[record]`.

    Args:
        record: The kind of record, whose docstring and field descriptions the model is told. One that derives from
            `Citation` carries where it was found, and is checked against the documents.
        instructions: What counts as a record, and how to go about it.

    Raises:
        InputError: If it is no pydantic model.
    """
    given: Any = record
    if not isinstance(given, type) or not issubclass(given, pydantic.BaseModel):
        raise InputError(f"A record is a class derived from pydantic.BaseModel, not {given!r}; define one.")
    wanted: Any = list[given]
    fields: dict[str, Any] = {
        "documents": (Documents, dspy.InputField()),
        "records": (wanted, dspy.OutputField(desc="Each record once, in the order of the documents")),
    }
    return make_signature(fields, instructions, f"Extract{given.__name__}")
