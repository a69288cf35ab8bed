"""Counting and adding up over records."""

from __future__ import annotations

import dspy

from rlm_module.signatures.table import Table


class CountRecords(dspy.Signature):
    """Count the records that the question asks for.

    What can be told from the columns, count in code. Where each record has to be understood, let sub-LMs label them,
    many to a prompt, with the record's number beside each label; make sure that every record got exactly one label,
    ask again for those that did not, and count in code. Never let a sub-LM count.
    """

    records: Table = dspy.InputField()
    question: str = dspy.InputField()
    count: int = dspy.OutputField(ge=0)


class AggregateRecords(dspy.Signature):
    """Work out the figure that the question asks for, in each group of the records.

    What can be told from the columns, work out in code. Where each record has to be understood, let sub-LMs label
    them, many to a prompt, with the record's number beside each label; make sure that every record got exactly one
    label, and do all arithmetic in code. Check that the groups together account for every record.
    """

    records: Table = dspy.InputField()
    question: str = dspy.InputField()
    figures: dict[str, float] = dspy.OutputField(desc="The figure of each group, by the group's name")
