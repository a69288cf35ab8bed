"""What `compile.py` runs: a world of advice, simulated models, the optimizers' arms, and what is judged."""
