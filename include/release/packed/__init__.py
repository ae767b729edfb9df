"""A Bento that carries one version: what lies in it, and how it is taken out at start."""
