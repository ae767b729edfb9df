"""Names of folders that hold what URLs, patterns and configuration files read as something else."""

ODD_NAME = "a ö #%?*日 b"
