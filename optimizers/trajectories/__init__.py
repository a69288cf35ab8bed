"""Runs as text in bounded room, and what they diagnose."""
