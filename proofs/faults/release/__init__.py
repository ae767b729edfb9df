"""What a release bears: one file per kind of fault, over one driver of its steps."""
