"""The console script `dfd`, and the commands that need no application."""
