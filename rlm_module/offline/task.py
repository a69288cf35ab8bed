"""What an RLM's root was told (inputs, outputs, functions) and what it has done so far, read from its request."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rlm_module.offline.prompt import Field, Prompt
from rlm_module.offline.typed import bare

# The first as this package's RLM lists an input, the second as dspy.RLM does, followed by its type and its preview.
_INPUT = re.compile(r"^- `(\w+)` \((\w+)(?:, [\d,]+ \w+)?\)[^\n]*\n(`{3,})\n(.*?)\n\3$", re.M | re.S)
_DSPY_INPUT = re.compile(
    r"^(?:- |[ \t]*)Variable: `(\w+)`[^\n]*\n[ \t]*Type: (\w+)(.*?)(```)\n(.*?)\n[ \t]*```$", re.M | re.S
)
_INPUT_HEADING = re.compile(r"^(?:Inputs, as variables|.*?Variable: `)", re.M)
_INPUT_LIST = re.compile(r"^[ \t]*- Variables: (.*) \(your input data\)$", re.M)
_OUTPUT_NOTE = re.compile(r"^[ \t]*- \{(\w+)\}(?:\s+# note: the value you produce (.*))?$", re.M)
_ENTRY = re.compile(
    r"^=== Step \d+ ===\n.*?Code:\n```python\n(.*?)\n```\nOutput \([\d,]+ chars\):\n(.*?)(?=\n=== Step \d+ ===\n|\Z)",
    re.M | re.S,
)
_ASKING = ("question", "query", "task", "instruction", "prompt", "request", "claim")
_LONGEST_QUESTION = 4000
_CALL_LIMIT = re.compile(r"([\d,]+) sub-LL?M calls")
_CALLS_LEFT = re.compile(r"Sub-LM calls left: ([\d,]+)")
_ITERATION = re.compile(r"(\d+)/(\d+)")
_LAST_TURN = "This is the last one"
_USUAL_CALLS = 50


@dataclass(frozen=True, slots=True)
class Step:
    """One of the root's own cells and what came of it."""

    code: str
    output: str


@dataclass(frozen=True, slots=True)
class Input:
    """A variable of the sandbox; `type` is its class's name and `preview` a glimpse of it, empty where not told."""

    name: str
    type: str = ""
    preview: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """What the root has to do.

    Args:
        told: The text that introduced it: instructions and previews of the inputs.
        inputs: The inputs, empty where they could not be made out.
        outputs: What SUBMIT takes.
        batched: Whether `llm_query_batched` can be called; `single` is the same for `llm_query`.
        calls: Sub-LM calls that the run may still make, as far as that is told.
        is_last_turn: Whether the run ends after the next cell.
        steps: The run so far.
    """

    told: str
    inputs: tuple[Input, ...]
    outputs: tuple[Field, ...]
    batched: bool
    single: bool
    steps: tuple[Step, ...]
    calls: int = _USUAL_CALLS
    is_last_turn: bool = False

    @classmethod
    def of(cls, prompt: Prompt) -> Task:
        """Reads the request of this package's RLM (a conversation) or of dspy.RLM (a transcript in one message)."""
        users = [prompt.sections(text) for role, text in prompt.turns if role == "user"]
        newest = users[-1] if users else {}
        if "repl_history" in newest:
            told = f"{_objective(prompt.system)}\n{newest.get('variables_info', '')}"
            steps = tuple(Step(code.strip(), output.strip()) for code, output in _ENTRY.findall(newest["repl_history"]))
        else:
            told, steps = _conversation(prompt)
        said = f"{prompt.system}\n{told}"
        now = "\n".join(newest.values())
        calls = _CALLS_LEFT.search(now) or _CALL_LIMIT.search(said)
        turn = _ITERATION.fullmatch(newest.get("iteration", ""))
        return cls(
            told=told,
            inputs=_inputs(prompt.system, told),
            outputs=_outputs(said),
            batched="llm_query_batched(" in said,
            single="llm_query(" in said,
            steps=steps,
            calls=int(calls[1].replace(",", "")) if calls else _USUAL_CALLS,
            is_last_turn=_LAST_TURN in now or (turn is not None and turn[1] == turn[2]),
        )

    @property
    def question_input(self) -> Input | None:
        """The input that holds the question, by its name."""
        by_name = {item.name.lower(): item for item in reversed(self.inputs) if item.type in ("str", "")}
        asking = [item for word in _ASKING for name, item in by_name.items() if name.startswith(word)]
        return asking[0] if asking else None

    @property
    def instructions(self) -> str:
        """The task in words, for a run whose inputs hold no question."""
        words = _INPUT_HEADING.split(self.told, maxsplit=1)[0]
        return " ".join(words.split())[:_LONGEST_QUESTION]


def _objective(system: str) -> str:
    """The task's own instructions at the head of dspy.RLM's."""
    return system.partition("your objective is:")[2].strip().partition("\n")[0]


def _conversation(prompt: Prompt) -> tuple[str, tuple[Step, ...]]:
    """The introduction and the steps since; demos stand before the last introduction."""
    texts = [next(iter(prompt.sections(text).values()), "") if role == "user" else text for role, text in prompt.turns]
    roles = [role for role, _ in prompt.turns]
    starts = [i for i, role in enumerate(roles) if role == "user" and _introduces(texts[i])] or [0]
    begin = starts[-1]
    steps = [
        Step(prompt.own_code(texts[i]), texts[i + 1])
        for i in range(begin + 1, len(texts) - 1)
        if roles[i] == "assistant"
    ]
    return texts[begin] if texts else "", tuple(steps)


def _introduces(text: str) -> bool:
    return _INPUT.search(text) is not None or text.startswith("- Variable: `")


def _inputs(system: str, told: str) -> tuple[Input, ...]:
    found = {name: Input(name, kind, preview) for name, kind, _, preview in _INPUT.findall(told)}
    found |= {name: Input(name, kind, preview) for name, kind, _, _, preview in _DSPY_INPUT.findall(told)}
    if found:
        return tuple(found.values())
    listed = _INPUT_LIST.search(system)
    return tuple(Input(name) for name in re.findall(r"`(\w+)`", listed[1])) if listed else ()


def _outputs(text: str) -> tuple[Field, ...]:
    notes: dict[str, str] = dict(_OUTPUT_NOTE.findall(text))
    for start in (match.end() for match in re.finditer(r"SUBMIT\(", text)):
        fields = [_field(part, notes) for part in _arguments(text[start:])]
        if fields and all(field is not None for field in fields):
            return tuple(field for field in fields if field is not None)
    return tuple(Field(name) for name in notes) or (Field("answer"),)


def _arguments(text: str) -> list[str]:
    """The text up to the closing bracket, cut at the commas that stand in no inner bracket or string."""
    parts, depth, quote = [""], 0, ""
    for char in text[:2000]:
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        if depth < 0:
            break
        if char == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts if part.strip()]


def _field(part: str, notes: dict[str, str]) -> Field | None:
    """One of SUBMIT's arguments, such as `answer`, `answer: str` or `answer=...`; None where it is something else."""
    match = re.fullmatch(r"(\w+)(?:\s*:\s*(.+?))?(?:\s*=\s*.*)?", part, re.S)
    if match is None or not match[1].isidentifier():
        return None
    return Field(match[1], bare(match[2]) if match[2] else _noted_type(notes.get(match[1], "")))


def _noted_type(note: str) -> str:
    """The type that a dspy note such as `must be a single int value` describes."""
    if number := re.match(r"must be a single (int|float)", note):
        return number[1]
    if note.startswith("must be True or False"):
        return "bool"
    if options := re.match(r"must exactly match \(no extra characters\) one of: (.*)", note):
        return f"Literal[{', '.join(repr(option.strip()) for option in options[1].split(';'))}]"
    if "JSON schema" in note:
        return "list[str]" if '"type": "array"' in note[:80] else "dict"
    return "str"
