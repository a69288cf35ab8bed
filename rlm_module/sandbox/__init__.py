"""The sandbox: a Python session that generated code cannot leave. Knows nothing of dspy.

On the host, `base.py` says what a session is, `conformance/` checks one, and `deno.py` is the one that comes with the
package: over a `link.py` to a `process.py`, which moves `frames.py`. `runtime/` finds, fetches and builds what that
process runs on. In the process, `runner/` (TypeScript, in Deno) starts Pyodide and moves bytes, and `guest/` (Python,
in Pyodide) runs the cells. Both sides run `codec.py`, `tagged.py`, `record.py`, `agent_kinds.py` and `type_limits.py`.
"""
