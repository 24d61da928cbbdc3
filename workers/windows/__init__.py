"""Scores the windows that wait in Redis: loading, scoring, and the RQ jobs."""
