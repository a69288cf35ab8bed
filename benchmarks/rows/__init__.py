"""What `benchmarks/sandbox.py` measures, a file a subject."""
