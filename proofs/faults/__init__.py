"""Faults, made on purpose, and what was seen: `make faults-serving`."""
