"""A mapping that one thread changes while others read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

T = TypeVar("T")


class Live(Mapping[str, T]):
    """Name -> value; each change is a new dictionary, so that whoever reads meets whole ones.

    `current` is that dictionary: the same object as long as nothing has changed.
    """

    def __init__(self, values: Mapping[str, T]) -> None:
        self.current: dict[str, T] = dict(values)

    def __getitem__(self, name: str) -> T:
        """Return the value of a name."""
        return self.current[name]

    def __iter__(self) -> Iterator[str]:
        """Go over the names as they are now, whatever changes meanwhile."""
        return iter(self.current)

    def __len__(self) -> int:
        """Count the names."""
        return len(self.current)

    def put(self, name: str, value: T) -> None:
        """Set one value."""
        self.current = {**self.current, name: value}

    def drop(self, name: str) -> None:
        """Take one name out."""
        self.current = {key: value for key, value in self.current.items() if key != name}
