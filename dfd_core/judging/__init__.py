"""From windows to probabilities, and from those to verdicts; no Redis."""
