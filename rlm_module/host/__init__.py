"""What generated code may call on the host: sub-LMs, typed sub-calls, children, sub-agents and tools."""
