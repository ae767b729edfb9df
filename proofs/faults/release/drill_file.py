"""The environment variable by which an endpoint knows which version of it misbehaves, and how."""

DRILL_FILE = "DRILL_FILE"
