"""The command `rlm`: one file a command group, on top of the public API."""
