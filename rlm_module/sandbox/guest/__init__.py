"""What runs inside the sandbox, as generated code does: nothing here is to be trusted by the host.

A session's Python begins with `prelude.py`. All files of this folder are in the memory snapshot that sessions start
from, so importing one another costs them nothing.
"""
