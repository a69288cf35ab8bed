"""OfflineLM as dspy sees it: an LM on a custom engine, which is how dspy 3.4 wants LMs of one's own to be built."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, ClassVar

import dspy
from dspy.lm15 import Message, Request, Response, Usage, response_to_events

from rlm_module.offline import reader, root, typed
from rlm_module.offline.prompt import Prompt
from rlm_module.offline.task import Task

MODEL = "offline/extractive"
_CHARS_PER_TOKEN = 4


class OfflineEngine:
    """Answers one request by rule; it holds no state, so any number of threads may share it."""

    def complete(self, request: Request) -> Response:
        """Answers as an RLM's root, as a predictor or as a plain sub-LM, whichever the request calls for."""
        prompt = Prompt.of(request)
        text = _answer(prompt)
        asked = len(prompt.system) + sum(len(said) for _, said in prompt.turns)
        return Response(
            id=None,
            model=request.model,
            message=Message.assistant(text),
            finish_reason="stop",
            usage=Usage(input_tokens=_tokens(asked), output_tokens=_tokens(len(text))),
        )

    def stream(self, request: Request) -> Iterator[Any]:
        """The same answer as stream events."""
        yield from response_to_events(self.complete(request))

    def close(self) -> None:
        """Nothing is held open."""

    def dump_state(self) -> dict[str, Any]:
        """The engine's state, which is none."""
        return {}

    @classmethod
    def load_state(cls, state: dict[str, Any]) -> OfflineEngine:
        """An engine as `dump_state` described it."""
        del state
        return cls()


class AsyncOfflineEngine:
    """The same for awaiting callers."""

    async def complete(self, request: Request) -> Response:
        """As OfflineEngine.complete; it takes milliseconds, so it runs on the caller's loop."""
        return OfflineEngine().complete(request)

    async def stream(self, request: Request) -> AsyncIterator[Any]:
        """The same answer as stream events."""
        for event in OfflineEngine().stream(request):
            yield event

    async def aclose(self) -> None:
        """Nothing is held open."""

    def dump_state(self) -> dict[str, Any]:
        """The engine's state, which is none."""
        return {}

    @classmethod
    def load_state(cls, state: dict[str, Any]) -> AsyncOfflineEngine:
        """An engine as `dump_state` described it."""
        del state
        return cls()


class OfflineLM(dspy.LM):
    """An LM that needs no network and no key, and is not a language model.

    It works by rule on the words it is given. As an RLM's root it writes plain Python that looks at the inputs, then
    either splits records into columns and counts those that the question's words pick out, or ranks passages by the
    question's words and reads the best ones; as a sub-LM or predictor it returns the sentence, or the value in it,
    that shares most words with the question, or "NOT FOUND". It does not understand, infer, translate, write or
    summarise, and a question in other words than the text's defeats it. It is for demos, tests and trying things out:
    deterministic, safe to share between threads, and every call costs 0.0 with tokens estimated as characters / 4.

    Args:
        model: The name it reports.
        **options: As for `dspy.LM`. The cache is off by default, since answering is as quick as looking up.
    """

    model_metadata: ClassVar[Mapping[str, float]] = {"input_cost_per_token": 0.0, "output_cost_per_token": 0.0}
    """What a budget asks for; that of other models is looked up, which may need a network."""

    def __init__(self, model: str = MODEL, **options: Any) -> None:
        options.setdefault("cache", False)
        options.setdefault("engine", OfflineEngine())
        options.setdefault("async_engine", AsyncOfflineEngine())
        super().__init__(model, **options)

    def update_history(self, entry: dict[str, Any]) -> None:
        """Records a call, at the price of 0.0: for engines that are not a provider's, dspy knows none."""
        details = {"kind": "estimate", "currency": "USD", "model": self.model}
        super().update_history({**entry, "cost": 0.0, "cost_details": details})


def _answer(prompt: Prompt) -> str:
    if prompt.is_root:
        action = root.act(Task.of(prompt))
        fields = {field.name: "" for field in prompt.outputs}
        code = f"```python\n{action.code.strip()}\n```"
        return prompt.reply({**fields, "reasoning": action.reasoning, "code": code})
    if prompt.outputs:
        return prompt.reply(typed.predict(prompt))
    return reader.reply(next((text for role, text in reversed(prompt.turns) if role == "user"), ""))


def _tokens(chars: int) -> int:
    return -(-chars // _CHARS_PER_TOKEN)
