"""The signature that `rlm ask` runs, and which of its inputs take the documents and the question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, get_origin

from rlm_module.cli.documents import Document
from rlm_module.cli.source import load_attribute, split_source
from rlm_module.errors import InputError

if TYPE_CHECKING:  # dspy takes a second to import, which `rlm --help` should not
    import dspy

_QUESTION_NAMES = ("query", "question")


def default_signature(documents: int) -> str:
    """The signature for a plain question: over one text, or over texts by name."""
    return f"context: {'str' if documents == 1 else 'dict[str, str]'}, query: str -> answer: str"


def load_signature(text: str) -> type[dspy.Signature]:
    """Reads a signature as it is written on the command line.

    Args:
        text: A dspy string such as `context, query -> answer`, or `file.py:Class`.

    Raises:
        InputError: It is neither, or lacks an output.
    """
    import dspy
    from dspy.signatures import make_signature

    source = split_source(text)
    if source is not None:
        signature = load_attribute(*source)
        if not (isinstance(signature, type) and issubclass(signature, dspy.Signature)):
            raise InputError(f"{text}: {source[1]} is not a class derived from dspy.Signature; name one that is")
    else:
        try:
            signature = make_signature(text)
        except (ValueError, TypeError, SyntaxError) as error:
            raise InputError(
                f"the signature {text!r} cannot be read ({error}); "
                "write it as 'context, query -> answer', or as file.py:Class"
            ) from error
    if not signature.output_fields:
        raise InputError(f"the signature {text!r} has no output; add one, as in 'context, query -> answer'")
    return signature


def bind(signature: type[dspy.Signature], documents: Sequence[Document], question: str | None) -> dict[str, Any]:
    """Chooses the inputs for the question and the documents.

    The question goes to `query` or `question`, else to the last of two inputs; the documents go to the one that is
    left. Inputs with a default may stay as they are.

    Raises:
        InputError: The question or the documents have no input to go to, or an input is left over.
    """
    fields = signature.input_fields
    needed = [name for name, field in fields.items() if field.is_required()]
    asking = next((name for name in _QUESTION_NAMES if name in fields), needed[-1] if len(needed) == 2 else None)
    reading = [name for name in needed if name != asking] or [name for name in fields if name != asking]
    if question is None and asking in needed:
        raise InputError(f"the signature asks for {asking!r}; give it with -q")
    if question is not None and asking is None:
        raise InputError("the signature has no input for the question; name one 'query', or leave out -q")
    if not reading:
        raise InputError("the signature has no input for the documents; add one, as in 'context, query -> answer'")
    if len(needed) > 1 and len(reading) > 1:
        raise InputError(
            f"only the documents and the question can be given, but the signature needs {', '.join(needed)}; "
            "give the others a default"
        )
    inputs: dict[str, Any] = {reading[0]: _as_type(fields[reading[0]].annotation, documents)}
    return inputs if question is None or asking is None else inputs | {asking: question}


def _as_type(annotation: object, documents: Sequence[Document]) -> str | list[str] | dict[str, str]:
    from rlm_module.signatures import Directory, Documents

    kind = get_origin(annotation) or annotation
    if kind in (dict, Documents, Directory):
        return {document.name: document.text for document in documents}
    if kind is list:
        return [document.text for document in documents]
    if len(documents) == 1:
        return documents[0].text
    return "\n".join(f"==> {document.name} <==\n{document.text}" for document in documents)
