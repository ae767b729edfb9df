"""`make demo`: a year of real flights through training, gates, serving, labels, monitoring and
retraining.
"""

from __future__ import annotations

from cli.demo.main import main

__all__ = ["main"]
