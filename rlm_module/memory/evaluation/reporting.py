"""What an evaluation found, for each arm: accuracy, evidence, abstention, cost and time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rlm_module.memory.evaluation.cases import QUESTION_TYPES, Key
from rlm_module.memory.evaluation.figures import Share, Spread, mean, mean_share, share, spread
from rlm_module.memory.evaluation.results import Answer, ArmResults, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmReport:
    """The figures of one arm.

    Args:
        arm: The arm.
        answered: How many questions have an answer and a verdict.
        by_type: Accuracy for each type of question; abstention questions count in their type.
        abstention: Accuracy on the abstention questions alone.
        micro: Accuracy over all questions.
        macro: The mean over the types.
        session_recall: Of the sessions that hold the answer, the share that is cited; mean over the questions that have
            an answer.
        turn_recall: The same of turns, where the file marks them.
        turn_precision: Of the turns cited, the share that holds the answer; mean over the answers that cite any.
        abstention_precision: Of the questions that the arm abstained from, the share without an answer.
        abstention_recall: Of the questions without an answer, the share that it abstained from.
        false_abstention: Of the questions that have an answer, the share that it abstained from.
        wrong_answers: Of all questions, the share that the arm answered, and wrongly.
        cost_usd: US dollars for each question; of nothing where the cost of any is not known.
        seconds: For each question, without taking in the history.
        ingest_cost_usd: US dollars for taking in a history.
        ingest_seconds: For that.
        judge_cost_usd: US dollars for judging an answer, which is no cost of the arm.
    """

    arm: str
    answered: int
    by_type: Mapping[str, Share]
    abstention: Share
    micro: Share
    macro: Share
    session_recall: float | None
    turn_recall: float | None
    turn_precision: float | None
    abstention_precision: Share
    abstention_recall: Share
    false_abstention: Share
    wrong_answers: Share
    cost_usd: Spread
    seconds: Spread
    ingest_cost_usd: Spread
    ingest_seconds: Spread
    judge_cost_usd: Spread


@dataclass(frozen=True, slots=True)
class _Scored:
    key: Key
    answer: Answer
    verdict: Verdict

    @property
    def cited_turns(self) -> set[tuple[str, int]]:
        return set(self.answer.evidence)

    @property
    def cited_sessions(self) -> set[str]:
        return {session for session, _ in self.answer.evidence}


def report(arm: str, keys: Mapping[str, Key], results: ArmResults) -> ArmReport:
    """The figures of an arm over the questions that it has answered.

    Args:
        arm: Its name.
        keys: What the scoring knows of each question, by id.
        results: Its answers and verdicts; those of other questions do not count.
    """
    scored = [
        _Scored(key, results.answers[name], results.verdicts[name])
        for name, key in keys.items()
        if name in results.answers and name in results.verdicts
    ]
    by_type = {kind: _accuracy(one for one in scored if one.key.question_type == kind) for kind in QUESTION_TYPES}
    silent = [one for one in scored if one.key.is_abstention]
    answerable = [one for one in scored if not one.key.is_abstention]
    abstained = [one for one in scored if one.answer.abstained]
    return ArmReport(
        arm=arm,
        answered=len(scored),
        by_type=by_type,
        abstention=_accuracy(silent),
        micro=_accuracy(scored),
        macro=mean_share(list(by_type.values())),
        session_recall=mean(
            [
                len(one.key.sessions & one.cited_sessions) / len(one.key.sessions)
                for one in answerable
                if one.key.sessions
            ]
        ),
        turn_recall=mean(
            [len(one.key.turns & one.cited_turns) / len(one.key.turns) for one in answerable if one.key.turns]
        ),
        turn_precision=_precision(scored),
        abstention_precision=share(sum(one.key.is_abstention for one in abstained), len(abstained)),
        abstention_recall=share(sum(one.answer.abstained for one in silent), len(silent)),
        false_abstention=share(sum(one.answer.abstained for one in answerable), len(answerable)),
        wrong_answers=share(sum(not one.answer.abstained and not one.verdict.is_right for one in scored), len(scored)),
        cost_usd=_costs(one.answer.cost_usd for one in scored),
        seconds=spread([one.answer.seconds for one in scored]),
        ingest_cost_usd=_costs(one.answer.ingest_cost_usd for one in scored),
        ingest_seconds=spread([one.answer.ingest_seconds for one in scored]),
        judge_cost_usd=_costs(one.verdict.cost_usd for one in scored),
    )


def _costs(costs: Iterable[float | None]) -> Spread:
    """How they spread; unknown if any of them is."""
    all_of_them = list(costs)
    known = [cost for cost in all_of_them if cost is not None]
    return spread(known if len(known) == len(all_of_them) else [])


def _accuracy(scored: Iterable[_Scored]) -> Share:
    verdicts = [one.verdict.is_right for one in scored]
    return share(sum(verdicts), len(verdicts))


def _precision(scored: Iterable[_Scored]) -> float | None:
    """Mean over the answers that cite anything; cited turns that do not exist count as wrong."""
    shares: list[float] = []
    for one in scored:
        if one.key.sessions and not one.key.turns:  # the file does not mark the turns
            continue
        cited = len(one.cited_turns) + one.answer.unknown_evidence
        if cited:
            shares.append(len(one.key.turns & one.cited_turns) / cited)
    return mean(shares)
