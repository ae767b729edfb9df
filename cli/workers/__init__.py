"""Workers beside the scheduler: Celery's."""
