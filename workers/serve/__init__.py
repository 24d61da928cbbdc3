"""`dfd serve`: the HTTP API over what Redis holds, and the console."""
