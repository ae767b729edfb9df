"""Pipelines as bundles: one signed archive, what is deployed, and where it is unpacked."""
