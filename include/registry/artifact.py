"""The model package under the name that the code of older logged models imports.

A logged model carries a copy of `pyfunc_model.py` as it was then, and until the package format had
a room of its own that file imported it from here. Nothing else imports this module.
"""

from include.model.package import ScoringModel, load_model

__all__ = ["ScoringModel", "load_model"]
