"""The examples that the endpoint's pages print are looked up when somebody reads them, and reused
for a while.
"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import asdict

import orjson

from include.errors import FeatureStoreError
from serving.contract.errors import RequestError
from serving.engine.runtime import Runtime
from serving.scoring.example import Example, find_example
from serving.scoring.online_stores import features_unavailable

HOLDS_SECONDS = 30.0


class Examples:
    """One example a use case, for as long as the same version serves and `HOLDS_SECONDS`."""

    def __init__(self) -> None:
        self._cached: dict[str, tuple[str, float, Example | None]] = {}

    async def all(self, runtime: Runtime) -> dict[str, Example]:
        """Return the example of every use case that has one now."""
        examples = {name: await self.one(runtime, name) for name in runtime.schemas}
        return {name: example for name, example in examples.items() if example is not None}

    async def one(self, runtime: Runtime, name: str) -> Example | None:
        """Return a use case's example; `None` while no model serves or no feature can be read."""
        served = runtime.watcher.slots[name].serving
        if served is None or not runtime.stores.is_open(name):
            return None
        digest, until, example = self._cached.get(name, ("", 0.0, None))
        if digest == served.digest and time.monotonic() < until:
            return example

        def search() -> bytes:
            try:
                found = find_example(runtime.schema(name), served, runtime.stores.get(name))
            except (FeatureStoreError, sqlite3.Error) as error:
                raise features_unavailable(str(error)) from error
            return orjson.dumps(None if found is None else asdict(found))

        try:
            document = orjson.loads(await runtime.call(search))
        except RequestError:
            return None
        example = None if document is None else Example(**document)
        self._cached[name] = (served.digest, time.monotonic() + HOLDS_SECONDS, example)
        return example
