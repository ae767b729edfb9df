"""Faults, made on purpose, and what was observed: `flightdeck faults`."""
