"""Calls of LMs: what they may cost, how they are paid for, and what happens where a provider fails."""
