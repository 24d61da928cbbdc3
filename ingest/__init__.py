"""Sources to windows in Redis: one process a source, under a watchdog."""
