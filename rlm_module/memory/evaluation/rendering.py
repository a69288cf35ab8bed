"""Reports beside each other, as a table for a reader."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rlm_module.memory.evaluation.cases import QUESTION_TYPES
from rlm_module.memory.evaluation.figures import Share, Spread
from rlm_module.memory.evaluation.reporting import ArmReport

_Cell = Callable[[ArmReport], str]


def table(reports: Sequence[ArmReport]) -> str:
    """A column for each arm; it is both Markdown and readable as it stands."""
    rows: list[tuple[str, _Cell]] = [("questions", lambda report: f"{report.answered:,}")]
    rows += [(kind, _of_type(kind)) for kind in QUESTION_TYPES]
    rows += [
        ("abstention questions", lambda report: _share(report.abstention)),
        ("accuracy, all questions (micro)", lambda report: _share(report.micro)),
        ("accuracy, mean of types (macro)", lambda report: _share(report.macro)),
        ("retrieval recall, sessions", lambda report: _percent(report.session_recall)),
        ("retrieval recall, turns", lambda report: _percent(report.turn_recall)),
        ("evidence precision, turns", lambda report: _percent(report.turn_precision)),
        ("abstention precision", lambda report: _share(report.abstention_precision)),
        ("abstention recall", lambda report: _share(report.abstention_recall)),
        ("false abstention", lambda report: _share(report.false_abstention)),
        ("wrong answers", lambda report: _share(report.wrong_answers)),
        ("cost a question: mean, median, p95", lambda report: _spread(report.cost_usd, "${:.4f}")),
        ("time a question: mean, median, p95", lambda report: _spread(report.seconds, "{:.2f} s")),
        ("cost of a history: mean, median, p95", lambda report: _spread(report.ingest_cost_usd, "${:.4f}")),
        ("time of a history: mean, median, p95", lambda report: _spread(report.ingest_seconds, "{:.2f} s")),
        ("cost of judging: mean, median, p95", lambda report: _spread(report.judge_cost_usd, "${:.4f}")),
    ]
    lines = [("", *(report.arm for report in reports))]
    lines += [(title, *(cell(report) for report in reports)) for title, cell in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    return "\n".join([shown[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *shown[1:]])


def _of_type(kind: str) -> _Cell:
    return lambda report: _share(report.by_type[kind])


def _share(share: Share) -> str:
    if share.value is None:
        return "–"
    return f"{share.value:.1%} ({share.low:.1%}–{share.high:.1%}) of {share.of:,}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _spread(spread: Spread, form: str) -> str:
    figures = (spread.mean, spread.median, spread.p95)
    return "unknown" if None in figures else ", ".join(form.format(figure) for figure in figures)
