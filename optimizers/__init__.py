"""Compiling programs that hold RLMs: a metric, not a person, writes their instructions."""
