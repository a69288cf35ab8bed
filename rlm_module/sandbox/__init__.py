"""The sandbox: a Python session that generated code cannot leave. Knows nothing of dspy."""
