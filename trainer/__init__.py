"""Turns real footage into a detector: data, pseudo-fakes, transfer learning, evaluation, export."""
