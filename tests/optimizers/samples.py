"""Samples that several tests share."""

from __future__ import annotations

from rlm_module.optimizers import Measured, Provenance, data_hash, versions

PROVENANCE = Provenance(
    optimizer="gepa",
    versions=versions(),
    models={"root": "openai/gpt-5"},
    data_hash=data_hash([]),
    runs=150,
    cost_usd=1.25,
    validation=Measured(examples=12, score=0.75, cost_usd=0.12),
    held_out=Measured(examples=24, score=0.5, cost_usd=None),
)
