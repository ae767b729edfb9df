"""`python -m cli experiments {list,search,show,compare,annotate}`: what has been trained, found and
compared.
"""

from cli.experiments.main import main

__all__ = ["main"]
