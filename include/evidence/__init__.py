"""The evidence of a model in service over a period, for whoever audits it (docs/evidence.md)."""
