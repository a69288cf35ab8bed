"""What has changed from one version of a text, or of a set of texts, to another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import dspy
import pydantic

from rlm_module.signatures.documents import Documents
from rlm_module.signatures.grounded import Ungrounded, names_listed
from rlm_module.signatures.inputs import SandboxInput, short


class Change(pydantic.BaseModel):
    """One change, with what the old and the new version say, word for word; nothing (`""`) where one says nothing."""

    document: str
    kind: Literal["added", "removed", "changed"]
    old_quote: str = pydantic.Field(max_length=10_000)
    new_quote: str = pydantic.Field(max_length=10_000)
    meaning: str = pydantic.Field(description="What it means for a reader, in a sentence")

    def check_against(self, inputs: Mapping[str, Any]) -> None:
        """Refuses quotes that the versions do not hold, and changes that are none.

        Raises:
            Ungrounded: Saying which.
        """
        old, new = _text(inputs.get("old"), self.document), _text(inputs.get("new"), self.document)
        if old is None and new is None:
            names = [name for version in ("old", "new") for name in _texts(inputs.get(version))]
            known = names_listed(list(dict.fromkeys(names)))
            raise Ungrounded(f"there is no document {short(self.document)!r}, only {known}; name one.")
        wanted = (self.kind != "added", self.kind != "removed")
        if (bool(self.old_quote), bool(self.new_quote)) != wanted:
            sides = {(True, True): "both quotes", (True, False): "only `old_quote`", (False, True): "only `new_quote`"}
            raise Ungrounded(f"what was {self.kind} has {sides[wanted]}; mend the quotes, or the kind.")
        for name, quote, text in (("old", self.old_quote, old or ""), ("new", self.new_quote, new or "")):
            if quote and quote not in text:
                raise Ungrounded(
                    f"`{name}_quote` does not stand in the {name} {short(self.document)!r}; copy it by slicing."
                )
        self._require_difference(old or "", new or "")

    def _require_difference(self, old: str, new: str) -> None:
        if self.old_quote == self.new_quote:
            raise Ungrounded("both quotes are the same; leave out what has not changed.")
        if self.kind == "added" and old.count(self.new_quote) >= new.count(self.new_quote):
            raise Ungrounded("`new_quote` stands in the old version as well; leave out what has not changed.")
        if self.kind == "removed" and new.count(self.old_quote) >= old.count(self.old_quote):
            raise Ungrounded("`old_quote` stands in the new version as well; leave out what has not changed.")


class CompareVersions(dspy.Signature):
    """Find the changes from the old version to the new one that matter for the focus, and say what they mean.

    Let code find the differences (`difflib` over lines, sections or sentences, document by document), so that none is
    missed and nothing unchanged is read twice. Set aside what differs in layout, numbering or place only, let sub-LMs
    judge what the rest means, and group what belongs to one change.
    """

    old: Documents = dspy.InputField()
    new: Documents = dspy.InputField()
    focus: str = dspy.InputField(desc="What the reader wants to know", default="All that changes the meaning")
    changes: list[Change] = dspy.OutputField(desc="Each change once, the most important first")
    summary: str = dspy.OutputField(desc="What has changed, in a few sentences")


def _texts(version: Any) -> Mapping[str, str]:
    return version.texts() if isinstance(version, SandboxInput) else {}


def _text(version: Any, name: str) -> str | None:
    return _texts(version).get(name)
