"""Reading a table, and validating it."""

from __future__ import annotations

import time
from typing import Any

from include.catalogue import load_use_case
from include.quality.validation import validate
from include.tables.store import TableStore
from proofs.bench.training.world import USE_CASE, YEAR, bench_settings


def read_table(arguments: dict[str, Any]) -> dict[str, Any]:
    """Plain reading of the entity table into memory."""
    tables, name = TableStore(bench_settings().tables_uri), arguments["table"]
    tables.read(name)
    started = time.perf_counter()
    frame = tables.read(name)
    return {"seconds": time.perf_counter() - started, "rows": frame.height}


def validate_table(arguments: dict[str, Any]) -> dict[str, Any]:
    """Reading the table and judging it with Great Expectations; the library is imported and warm
    before.
    """
    tables, table = (
        TableStore(bench_settings().tables_uri),
        load_use_case(USE_CASE).table(arguments["table"]),
    )
    validate(table, tables.read(table.name).head(1000), window=YEAR, minimum_rows=1)
    started = time.perf_counter()
    frame = tables.read(table.name)
    validation = validate(table, frame, window=YEAR, minimum_rows=1)
    return {
        "seconds": time.perf_counter() - started,
        "rows": frame.height,
        "failures": len(validation.failures),
    }
