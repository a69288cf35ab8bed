"""Questions about long documents, answered with citations that are checked before they are returned."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Self

import dspy
import pydantic

from rlm_module.signatures.documents import Documents
from rlm_module.signatures.grounded import Ungrounded, names_listed, sources
from rlm_module.signatures.inputs import short

_LONGEST_QUOTE = 10_000


class Citation(pydantic.BaseModel):
    """A span of a document: `quote == documents[document][start:end]`, counted in characters.

    An output of any signature may hold it, and records may derive from it, to carry where they were found.
    """

    document: str
    start: int
    end: int
    quote: str = pydantic.Field(min_length=1, max_length=_LONGEST_QUOTE)

    def check_against(self, inputs: Mapping[str, Any]) -> None:
        """Refuses a span that is not in the inputs.

        Raises:
            Ungrounded: With the span that the quote has, if it stands in one place only.
        """
        known = sources(inputs)
        texts = [text for name, text in known if name == self.document]
        if 0 <= self.start < self.end and any(text[self.start : self.end] == self.quote for text in texts):
            return
        if not texts:
            fault = f"there is no document {short(self.document)!r}, only {names_listed([name for name, _ in known])}"
            raise self._fault(fault, [(name, *span) for name, text in known for span in _spans(text, self.quote)])
        found = [(self.document, *span) for text in texts for span in _spans(text, self.quote)]
        there = next((text[self.start : self.end] for text in texts), "") if 0 <= self.start < self.end else ""
        raise self._fault(f"{self.start}:{self.end} is {short(there, 60)!r}, not the quote", found)

    def _fault(self, fault: str, found: list[tuple[str, int, int, str]]) -> Ungrounded:
        if not found:
            return Ungrounded(f"{fault}, and the quote stands nowhere; copy it from the text, by slicing.")
        if len(found) > 1:
            nearest = min(found, key=lambda place: abs(place[1] - self.start))
            return Ungrounded(
                f"{fault}; the quote stands in several places, such as {nearest[0]!r} {nearest[1]}:{nearest[2]}, so "
                "give the span that is meant."
            )
        name, start, end, quote = found[0]
        mended = self.model_copy(update={"document": name, "start": start, "end": end, "quote": quote})
        exact = "" if quote == self.quote else f", with other white space, as {quote[:300]!r}"
        return Ungrounded(f"{fault}; it stands at start={start}, end={end} of {short(name)!r}{exact}.", mended)


class CitedQA(dspy.Signature):
    """Answer the question from the documents alone, and cite the spans that bear the answer out.

    Find passages by code (search for names, numbers and synonyms in every document), have a sub-LM read the passages
    that matter, and compare what different documents say. Cut each citation out of its document by slicing, as short
    as it can be while it still shows the point. If the documents don't answer the question, submit None and no
    citations.
    """

    documents: Documents = dspy.InputField()
    question: str = dspy.InputField()
    answer: str | None = dspy.OutputField(desc="None if the documents don't answer the question")
    citations: list[Citation] = dspy.OutputField(desc="What bears the answer out, the most important first")

    @pydantic.model_validator(mode="after")
    def _answer_has_citations(self, info: pydantic.ValidationInfo) -> Self:
        return needs_evidence(self, info, "citations")


def needs_evidence(task: Any, info: pydantic.ValidationInfo, name: str) -> Any:
    """Refuses an answer without evidence, unless the run is over and what it had was not borne out.

    Raises:
        ValueError: Saying so.
    """
    is_over = bool((info.context or {}).get("drawn_up"))
    if not is_over and task.answer is not None and not getattr(task, name):
        raise ValueError(f"an answer needs at least one of `{name}`; add one, or submit None as the answer")
    return task


def _spans(text: str, quote: str) -> list[tuple[int, int, str]]:
    """Up to some places where a quote stands; if it does so nowhere, those where only white space differs."""
    found: list[tuple[int, int, str]] = []
    at = text.find(quote)
    while at >= 0 and len(found) < 100:
        found.append((at, at + len(quote), quote))
        at = text.find(quote, at + 1)
    words = quote.split()
    if found or not words:
        return found
    pattern = re.compile(r"\s+".join(map(re.escape, words)))
    for match in pattern.finditer(text):
        found.append((*match.span(), match[0]))
        if len(found) >= 100:
            break
    return found
