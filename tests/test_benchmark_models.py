"""The simulated models that optimizers are compared on."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import dspy
import pytest
from dspy.teleprompt.gepa import InstructionProposer
from gepa.strategies.instruction_proposal import InstructionProposalSignature

from benchmarks.compiling.advice import PLACES, Case, Piece, World, drawn, filler, score
from benchmarks.compiling.arms import check_default, dspy_rlm, our_rlm
from benchmarks.compiling.compilers import compiled_by, silence
from benchmarks.compiling.messages import Message, in_form_asked, instruction_of, model, output_fields
from benchmarks.compiling.pair import Faulty, Pair, PairModel, proposals
from benchmarks.compiling.reflection import LeakError, ReflectionModel, blanked, names_asked_for, told_of
from benchmarks.compiling.task_model import CapReachedError, Seen, TaskModel

WORLD = drawn(7)
PROGRAMS = {"RLM": our_rlm, "dspy.RLM": dspy_rlm}


def needing(world: World, place: str) -> tuple[Case, Piece]:
    """A case that needs a piece whose absence shows there, and the piece."""
    cases = (*world.training, *world.validation, *world.held_out)
    return next((case, piece) for case in cases for piece in case.needs if piece.place == place)


def run(program: Any, case: Case, learned: str = "", cap: int | None = None) -> tuple[Any, TaskModel]:
    """A run with a strategy to which something was added."""
    signature = program.generate_action.signature
    program.generate_action.signature = signature.with_instructions(f"{signature.instructions}\n{learned}")
    task = TaskModel(WORLD, cap)
    with dspy.context(lm=model(task)):
        return program(**case.example().inputs()), task


def test_a_world_is_drawn_by_its_seed_and_needs_every_piece_equally_often() -> None:
    assert drawn(7) == WORLD
    assert drawn(8) != WORLD
    for cases, count in ((WORLD.training, 24), (WORLD.validation, 12), (WORLD.held_out, 24)):
        assert len(cases) == count
        needed = Counter(piece for case in cases for piece in case.needs)
        assert set(needed.values()) == {count * 2 // 12}
        assert all(len(set(case.needs)) == 2 for case in cases)
    assert Counter(piece.place for piece in WORLD.pieces) == dict.fromkeys(PLACES, 4)


def test_no_word_of_a_world_occurs_in_another_one_or_in_filler() -> None:
    words = [word for piece in WORLD.pieces for word in (piece.advice, piece.symptom)] + list(WORLD.harms)
    assert not [(one, other) for one in words for other in words if one is not other and one in other]
    noise = filler(random.Random(0))
    told = " ".join(next(noise) for _ in range(5_000))
    assert not [word for word in words if word in told]


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_default_strategies_hold_no_advice(program: Any) -> None:
    made = program()
    check_default(WORLD, made)
    made.generate_action.signature = made.generate_action.signature.with_instructions(WORLD.pieces[0].advice)
    with pytest.raises(ValueError, match="generate_action"):
        check_default(WORLD, made)


def test_the_score_is_the_share_of_right_words_less_what_is_too_much() -> None:
    example = dspy.Example(answer="one two")
    answers = {"one two": 1.0, "two other": 0.5, "other another": 0.0, "one two x": 0.75, "one y x": 0.25, "a b c": 0.0}
    assert {answer: score(example, dspy.Prediction(answer=answer)) for answer in answers} == answers


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_a_run_is_as_good_as_the_advice_in_its_messages(program: Any) -> None:
    case = WORLD.training[0]
    both = " ".join(piece.advice for piece in case.needs)
    for learned, wanted in (
        ("", 0.0),
        (case.needs[0].advice, 0.5),
        (both, 1.0),
        (f"{both} {WORLD.harms[0]}", 0.75),
        (f"{both} {WORLD.harms[0]} {WORLD.harms[3]}", 0.5),
    ):
        prediction, task = run(program(), case, learned)
        assert score(case.example(), prediction) == wanted
        (seen,) = task.runs
        assert (seen.case, seen.pieces, seen.harms) == (
            case.name,
            len(WORLD.held(learned)),
            len(WORLD.harmful(learned)),
        )


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
@pytest.mark.parametrize(("place", "turn"), [("middle", 1), ("sub", 2), ("final", 4)])
def test_what_is_missing_shows_in_its_place_and_not_before(program: Any, place: str, turn: int) -> None:
    case, piece = needing(WORLD, place)
    prediction, _ = run(program(), case)
    told = [str(entry) for entry in prediction.trajectory]
    assert [number for number, text in enumerate(told) if piece.symptom in text] == [turn]
    assert piece.advice not in "".join(told)
    mended, _ = run(program(), case, piece.advice)
    assert not any(piece.symptom in str(entry) for entry in mended.trajectory)


def test_symptoms_of_a_middle_turn_are_in_what_it_printed_only() -> None:
    case, piece = needing(WORLD, "middle")
    turn = run(our_rlm(), case)[0].trajectory[1]
    assert piece.symptom in turn["output"]
    assert piece.symptom not in turn["code"]


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_the_harness_refuses_runs_beyond_the_cap(program: Any) -> None:
    task, made = TaskModel(WORLD, 1), program()
    with dspy.context(lm=model(task)), silence():
        made(**WORLD.training[0].example().inputs())
        with pytest.raises(Exception, match="all there are"):
            made(**WORLD.training[1].example().inputs())
    assert (len(task.runs), task.refused) == (1, 1)


def test_a_prompt_that_nobody_wrote_is_refused() -> None:
    with pytest.raises(CapReachedError):
        TaskModel(WORLD)([Message("user", "What is slip nothing?")])


CURRENT = "Work with care.\n\n- Look first."


def plain(text: str, symptoms: Sequence[str]) -> str:
    """A reflection prompt that asks for a fence."""
    return InstructionProposalSignature.prompt_renderer(  # type: ignore[return-value]
        {
            "current_instruction_doc": text,
            "dataset_with_feedback": [{"Outputs": symptom, "Feedback": "Score 0."} for symptom in symptoms],
            "prompt_template": None,
        }
    )


def tagged(text: str, symptoms: Sequence[str]) -> str:
    shown = "\n".join(f"<record>{symptom}</record>" for symptom in symptoms)
    return f"<current_text>\n{text}\n</current_text>\n{shown}\nReply with the better text and nothing else."


def untouched(edited: str) -> str:
    """An edited text without harmful lines."""
    return "\n".join(line for line in edited.splitlines() if not line.startswith("- Never leave out"))


@pytest.mark.parametrize("adapter", [None, dspy.ChatAdapter(), dspy.JSONAdapter()])
def test_reflection_answers_dspys_proposer_through_any_adapter(adapter: Any) -> None:
    piece = WORLD.pieces[0]
    propose = InstructionProposer(adapter=adapter)
    records: Any = {"act": [{"Inputs": {"notes": "x"}, "Generated Outputs": {"code": piece.symptom}, "Feedback": "0"}]}
    with dspy.context(lm=model(ReflectionModel(WORLD, 0))):
        proposed = propose({"act": CURRENT}, records, ["act"])
    assert untouched(proposed["act"]) == f"{CURRENT}\n- Always mind the {piece.advice}."


@pytest.mark.parametrize("ask", [plain, tagged])
def test_reflection_answers_prompts_of_other_forms(ask: Any) -> None:
    piece = WORLD.pieces[5]
    reply = ReflectionModel(WORLD, 1)([Message("user", ask(CURRENT, [piece.symptom]))])
    assert untouched(reply.strip("`\n")) == f"{CURRENT}\n- Always mind the {piece.advice}."


def test_reflection_adds_at_most_two_pieces_that_it_sees_and_that_are_not_held() -> None:
    shown, held = WORLD.pieces[:5], WORLD.pieces[0]
    current = f"{CURRENT}\n- Always mind the {held.advice}."
    for seed in range(20):
        reply = ReflectionModel(WORLD, seed)([Message("user", plain(current, [piece.symptom for piece in shown]))])
        added = WORLD.held(reply) - {held}
        assert len(added) == 2
        assert added <= set(shown)


def test_reflection_leaves_what_needs_nothing_and_guesses_only_if_told_to() -> None:
    request = [Message("user", plain(CURRENT, ["nothing"]))]
    assert untouched(ReflectionModel(WORLD, 0)(request).strip("`\n")) == CURRENT
    guess = untouched(ReflectionModel(WORLD, 0, guesses=True)(request).strip("`\n")).removeprefix(CURRENT).strip()
    assert guess.removeprefix("- Always mind the ").rstrip(".") in WORLD.guesses


def test_a_fifth_of_its_calls_adds_a_harmful_line() -> None:
    reflection = ReflectionModel(WORLD, 3)
    replies = [reflection([Message("user", plain(f"{CURRENT} {n}", []))]) for n in range(500)]
    assert reflection.calls == 500
    assert 75 <= sum(bool(WORLD.harmful(reply)) for reply in replies) <= 125


def test_advice_in_records_is_a_leak_and_in_its_own_texts_is_none() -> None:
    reflection = ReflectionModel(WORLD, 0)
    own = reflection([Message("user", plain(CURRENT, [WORLD.pieces[0].symptom]))]).strip("`\n")
    assert WORLD.held(reflection([Message("user", plain(own, [own]))]))
    with pytest.raises(LeakError, match=WORLD.pieces[1].advice):
        reflection([Message("user", plain(CURRENT, [WORLD.pieces[1].advice]))])


def test_it_names_the_part_that_symptoms_are_told_of() -> None:
    symptom = WORLD.pieces[0].symptom
    text = (
        f"Which part is at fault?\n\n--- What `reader` did ---\nfine\n\n--- What `writer` did ---\n{symptom}\n\n"
        "The parts are `reader`, `writer`. Reply with the name of the one at fault."
    )
    assert names_asked_for(text) == ["reader", "writer"]
    assert list(told_of(text, [symptom], ["reader", "writer"])) == ["writer"]
    reflection = ReflectionModel(WORLD, 0)
    assert reflection([Message("user", text)]) == "writer"
    assert reflection.blames == 1
    chosen = {ReflectionModel(WORLD, seed)([Message("user", text.replace(symptom, ""))]) for seed in range(20)}
    assert chosen == {"reader", "writer"}
    with pytest.raises(ValueError, match="Neither"):
        reflection([Message("user", "Say something.")])


def test_forms_are_told_apart() -> None:
    fields = [Message("system", "Your output fields are:\n1. `why` (str): \n2. `new_text` (str): \n\nAnswer as JSON.")]
    assert output_fields(fields) == ["why", "new_text"]
    assert in_form_asked(fields, {"why": "a", "new_text": "b"}) == '{"why": "a", "new_text": "b"}'
    assert in_form_asked([Message("user", "Reply.")], {"text": "b"}) == "b"
    assert instruction_of([Message("user", "# Records\nx\n# Current instruction\nDo.\n# Feedback\ny")]) == "Do."
    assert instruction_of([Message("user", "[[ ## current_instruction ## ]]\n{current_instruction}")]) is None


def test_blanked_records_hold_nothing_of_a_run() -> None:
    case = WORLD.training[0]
    read: list[str] = []

    def answer(messages: Sequence[Message]) -> str:
        read.extend(message.text for message in messages)
        return ""

    blanked(WORLD, answer)([Message("user", f"{case.name} {case.words[0]} {case.needs[0].symptom} stays {case.notes}")])
    assert read == ["… … … stays …"]


@pytest.mark.parametrize("fault", ["reader", "writer", "both"])
def test_in_a_pair_the_one_at_fault_shows_it_or_the_feedback_tells(fault: Any) -> None:
    told, shown = WORLD.training[:2]
    faulty = Faulty(fault, frozenset([told.name]))
    task = PairModel(WORLD, faulty)
    with dspy.context(lm=model(task)):
        for case in (told, shown):
            prediction = Pair()(**case.example().inputs())
            judged = faulty.metric(WORLD)(case.example(), prediction)
            assert judged.score == 0.0
            assert [piece.symptom in judged.feedback for piece in case.needs] == [case is told] * 2
            assert ("`reader`" in judged.feedback) == (case is told and fault != "writer")
    assert [seen.part for seen in task.runs] == ["reader", "writer"] * 2


@pytest.mark.parametrize("fault", ["reader", "writer", "both"])
def test_a_pair_is_mended_by_advice_to_the_one_at_fault_alone(fault: Any) -> None:
    case, pair = WORLD.training[0], Pair()
    faulty = Faulty(fault, frozenset())
    for number, piece in enumerate(case.needs):
        act = getattr(pair, faulty.owner(number)).generate_action
        act.signature = act.signature.with_instructions(f"{act.signature.instructions} {piece.advice}")
    with dspy.context(lm=model(PairModel(WORLD, faulty))):
        assert score(case.example(), pair(**case.example().inputs())) == 1.0
        act = pair.reader.generate_action
        act.signature = act.signature.with_instructions(f"{act.signature.instructions} {WORLD.harms[0]}")
        assert score(case.example(), pair(**case.example().inputs())) == 0.75


def test_proposals_are_texts_that_ran_for_the_first_time() -> None:
    def seen(part: str, *words: str) -> Seen:
        return Seen("case", part, "\n".join(["Default.", *(f"   - Always mind the {word}." for word in words)]), 0, 0)

    runs = [seen("reader"), seen("reader", "a"), seen("writer"), seen("reader", "a"), seen("writer", "a", "b")]
    assert proposals([*runs, seen("reader", "a", "b")]) == {"reader": 2, "writer": 1}


def test_a_small_compile_learns_within_its_cap() -> None:
    task, reflection = TaskModel(WORLD, 60), ReflectionModel(WORLD, 0)
    program: Any = our_rlm()
    compiled = compiled_by("RLMGEPA", program, WORLD, score, (model(task), model(reflection)), 60, 0)
    assert WORLD.held(compiled.generate_action.signature.instructions)
    assert not WORLD.held(program.generate_action.signature.instructions)
    assert (len(task.runs) <= 60, task.refused) == (True, 0)
