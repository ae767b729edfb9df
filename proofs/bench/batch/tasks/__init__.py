"""What a child of the batch bench does, a module for each task."""
