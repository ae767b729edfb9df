"""Faults, made on purpose, and what was seen: `python -m cli faults-serving`."""

from cli.faults.serving import main

__all__ = ["main"]
