"""Features: views, rolling means, the offline join, Feast and its online stores.

Feast decorates its classes with `typeguard.typechecked`, which compiles each of their methods anew
at import: two thirds of the time that an import of Feast takes, in every process of the platform.
typeguard's documentation calls the checks not meant for production; without them Feast still
refuses a definition of wrong types, when it writes it. So this package, which every use of Feast
goes through, turns the decorator into one that leaves its target as it is.
"""

from __future__ import annotations

from typing import Any

import typeguard


def _unchecked(target: Any = None, **_: object) -> Any:
    """`typeguard.typechecked` as Python's option -O has it: it returns its target."""
    return _unchecked if target is None else target


vars(typeguard)["typechecked"] = _unchecked
