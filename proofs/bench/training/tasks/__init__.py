"""What a child of the bench does: a module for each task or pair of tasks that is compared, so that
a process imports what its own task needs and nothing of the others.
"""
