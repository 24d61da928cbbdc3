"""Names that jobs of older versions carry which still lie in a Redis; newer ones name `workers.windows.jobs`."""

from workers.windows.jobs import score_window, window_failed

__all__ = ["score_window", "window_failed"]
