"""What every part of dfd shares: records, settings, video, faces, windows, models, checks and verdicts."""

__version__ = "0.1.0"
