"""`make refusals`: one faulty delivery, model or package after the other through the wired DAGs,
and a good one that passes.
"""

from cli.refusals.main import main

__all__ = ["main"]
