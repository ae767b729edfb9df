"""Proofs: what Flightdeck promises, shown on the running product. Never packed into anything."""
