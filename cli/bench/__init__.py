"""`make bench-training`: what the training side costs, as ratios within one run."""

from cli.bench.training import main

__all__ = ["main"]
