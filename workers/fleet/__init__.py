"""`dfd work`: worker processes, their supervisor, and what becomes of a dead one's jobs."""
