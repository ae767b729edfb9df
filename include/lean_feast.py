"""Feast is imported without its run-time checks of types.

To put these into its functions typeguard parses and compiles a whole module of Feast for each of
242: seven tenths of `import feast`, four seconds of processor time of every process that reads or
writes features. Who checks the definitions of features asks for them by `with_checks`.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

NAME = "feast"


class _Finder:
    """Finds Feast as Python does, and has typeguard pass over it while it is imported."""

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        """None for everything else, so that the next finder is asked."""
        if name != NAME:
            return None
        spec = PathFinder.find_spec(NAME)
        if spec is not None and spec.loader is not None:
            _without_checks(spec.loader)
        return spec


_FINDER = _Finder()


def leave_out_checks() -> None:
    """Let this process, should it import Feast, import it without the checks."""
    if NAME not in sys.modules and _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)


def with_checks() -> None:
    """Let this process, which has not imported Feast yet, import it as it is."""
    if _FINDER in sys.meta_path:
        sys.meta_path.remove(_FINDER)


def _without_checks(loader: Any) -> None:
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        import typeguard

        del loader.exec_module
        decorator = typeguard.typechecked
        typeguard.typechecked = _as_it_is
        try:
            execute(module)
        finally:
            typeguard.typechecked = decorator

    loader.exec_module = exec_module


def _as_it_is(target: Any = None, **_: object) -> Any:
    """`typechecked` where Python runs optimised."""
    return _as_it_is if target is None else target
