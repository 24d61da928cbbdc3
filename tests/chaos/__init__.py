"""Faults put into a running system, real part by real part, and what becomes of it: `python -m tests.chaos`."""
