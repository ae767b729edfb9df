"""A rollout, from its stages to the plans that they decide (docs/deployment.md)."""
