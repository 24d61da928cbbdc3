"""The bulk queue at work: whole files, scored by processes that yield to live windows; what users see of it."""
