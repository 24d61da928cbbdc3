"""`dfd evaluate` and `dfd fuse`: figures of a model, and what is fitted to what it says of known clips."""
