"""What data there is, for who looks for some: one page to browse."""
