"""Questions about a folder of code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import dspy
import pydantic

from rlm_module.signatures.citing import needs_evidence
from rlm_module.signatures.directory import Directory
from rlm_module.signatures.grounded import Ungrounded, names_listed, sources
from rlm_module.signatures.inputs import short


class CodeReference(pydantic.BaseModel):
    """Lines of a file: `quote` is what stands from line `line` on, counted from 1; indentation may be left out."""

    path: str
    line: int
    quote: str = pydantic.Field(min_length=1, max_length=10_000)

    def check_against(self, inputs: Mapping[str, Any]) -> None:
        """Refuses lines that are not in the file.

        Raises:
            Ungrounded: With the line at which the quote stands, if there is only one.
        """
        known = dict(sources(inputs))
        text = known.get(self.path)
        if text is None:
            raise Ungrounded(f"there is no file {short(self.path)!r}, only {names_listed(list(known))}; name one.")
        lines, wanted = _stripped(text), _stripped(self.quote.strip("\n"))
        places = [at for at in _starts(lines, wanted[0]) if lines[at : at + len(wanted)] == wanted]
        if self.line - 1 in places:
            return
        if not places:
            raise Ungrounded(f"{short(self.path)!r} has no such lines; quote whole lines, as they stand in the file.")
        where = ", ".join(str(at + 1) for at in places[:5])
        mended = self.model_copy(update={"line": places[0] + 1}) if len(places) == 1 else None
        raise Ungrounded(f"the quote is not at line {self.line} of {short(self.path)!r} but at {where}.", mended)


class CodebaseQA(dspy.Signature):
    """Answer the question about the code in the folder, and refer to the lines that bear the answer out.

    Begin with the list of files and the documentation. Search for the names that matter, follow definitions to their
    uses across files, and read the code itself before you say what it does: comments and names may be out of date.
    Take line numbers from code, never from memory. If the folder doesn't answer the question, submit None and no
    references.
    """

    folder: Directory = dspy.InputField()
    question: str = dspy.InputField()
    answer: str | None = dspy.OutputField(desc="None if the folder doesn't answer the question")
    references: list[CodeReference] = dspy.OutputField(desc="What bears the answer out, the most important first")

    @pydantic.model_validator(mode="after")
    def _answer_has_references(self, info: pydantic.ValidationInfo) -> Self:
        return needs_evidence(self, info, "references")


def _stripped(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n")]


def _starts(lines: list[str], first: str) -> list[int]:
    return [at for at, line in enumerate(lines) if line == first]
