"""One compile from its first run to the program that is returned."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import dspy
import gepa

from rlm_module.optimizers.adapter import RLMAdapter
from rlm_module.optimizers.blame import Blame
from rlm_module.optimizers.components import Components
from rlm_module.optimizers.evaluations import Evaluations, Reflections, digest
from rlm_module.optimizers.lineage import Compilation, Dropped
from rlm_module.optimizers.metrics import Metric
from rlm_module.optimizers.pool import Pool
from rlm_module.optimizers.proposing import Proposer
from rlm_module.optimizers.reflection import ReflectionModel
from rlm_module.optimizers.rollouts import Case, Rollouts
from rlm_module.optimizers.stopping import Allowance, Exhausted, Stopper
from rlm_module.optimizers.validation import Acceptance, Finals, Found, StagedValidation

logger = logging.getLogger(__name__)

_RUNS_PER_EXAMPLE = 6
_PATIENCE = 25


class Study:
    def __init__(self, options: Any, student: dspy.Module, trainset: Any, valset: Any) -> None:
        self._student = student
        self._components = Components(student, options.learn)
        train = [Case(i, e, digest(repr(sorted(e.toDict().items())))) for i, e in enumerate(trainset)]
        val = (
            train
            if valset is None
            else [Case(i, e, digest(repr(sorted(e.toDict().items())))) for i, e in enumerate(valset)]
        )
        self._train, self._val = train, val
        max_runs = options.max_runs
        if max_runs is None and options.max_cost_usd is None:
            max_runs = _RUNS_PER_EXAMPLE * (len(train) + len(val))
        self._allowance = Allowance(max_runs, options.max_cost_usd)
        folder = None if options.run_dir is None else Path(options.run_dir)
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
        self._stopper = Stopper(self._allowance, options.patience or _PATIENCE)
        self._rollouts = Rollouts(
            student,
            self._components,
            Metric(options.metric),
            self._allowance,
            Evaluations(folder and folder / "evaluations.jsonl"),
            options.num_threads or 1,
        )
        self._pool = Pool(
            self._rollouts,
            train,
            val,
            size=options.minibatch_size,
            perfect=options.perfect_score,
            seed=options.seed,
            stopper=self._stopper,
        )
        model = ReflectionModel(
            options.reflection_lm or dspy.settings.lm,
            self._allowance,
            Reflections(folder and folder / "reflections.jsonl"),
        )
        self._dropped: list[Dropped] = []
        self._blame = Blame(self._components, student, model.ask, self._pool.is_perfect)
        self._adapter = RLMAdapter(
            self._components,
            self._rollouts,
            self._pool,
            self._blame,
            Proposer(model.ask, self._dropped.append),
            options.max_text_chars,
            self._components.texts(student),
        )
        self._found: list[Found] = []
        self._finals = Finals(self._rollouts, val, self._pool.screen, self._allowance, options.perfect_score)
        self._options = options
        if max_runs is not None and max_runs >= 2 * len(val) + options.minibatch_size:
            self._allowance.kept_runs = len(val) - len(self._pool.screen)

    def run(self) -> Any:
        stopped = ""
        try:
            gepa.optimize(
                seed_candidate=self._components.texts(self._student),
                trainset=self._train,
                valset=self._val,
                adapter=self._adapter,
                sampling_strategy=self._pool,
                skip_perfect_score=False,
                module_selector=self._blame,
                acceptance_criterion=Acceptance(),
                val_evaluation_policy=StagedValidation(self._pool.screen),
                stop_callbacks=self._stopper,
                callbacks=[self],
                logger=self,
                track_best_outputs=False,
                seed=self._options.seed,
                raise_on_exception=True,
            )
        except Exhausted as end:
            stopped = end.reason
        self._allowance.kept_runs = 0
        self._finals.validate(self._found)
        cands = self._finals.candidates(self._found)
        best = self._finals.best(cands)
        a = self._allowance
        program: Any = self._components.copy_with(self._student, cands[best].texts)
        program.compilation = Compilation(
            candidates=tuple(cands),
            best=best,
            front=self._finals.front(cands),
            dropped=tuple(self._dropped),
            runs=a.runs,
            reflections=a.reflections,
            cost_usd=a.cost_usd,
            reflection_cost_usd=a.reflection_cost_usd,
            stopped=stopped or self._stopper.reason,
            train=len(self._train),
            val=len(self._val),
        )
        return program

    def log(self, message: str) -> None:
        logger.debug(message)

    def on_valset_evaluated(self, event: Any) -> None:
        parents = tuple(p for p in event["parent_ids"] if p is not None)
        texts = dict(event["candidate"])
        changed = tuple(n for n in texts if parents and texts[n] != self._found[parents[0]].texts[n])
        self._found.append(Found(event["candidate_idx"], texts, parents, changed))

    def on_candidate_accepted(self, event: Any) -> None:
        self._stopper.succeeded()

    def on_iteration_end(self, event: Any) -> None:
        self._stopper.ended()
