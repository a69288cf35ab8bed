"""A test set of made-up lives, in LongMemEval's form, whose answers need no judge."""

from rlm_module.memory.evaluation.generated.making import (
    GENERATOR_VERSION,
    GeneratedQuestion,
    Statement,
    generate,
    write_generated,
)

__all__ = ["GENERATOR_VERSION", "GeneratedQuestion", "Statement", "generate", "write_generated"]
