"""What a delivered file must be before anything of it is read: a file of the delivery folder,
and no larger in memory than this machine may be asked to hold.

A Parquet file says in its last bytes how many rows it has and how large its pages are; a few
megabytes on the disk may be hundreds of millions of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import polars as pl

from include.errors import DataError
from include.settings import PREFIX, Settings

WIDEST_VALUE = 16
"""Bytes of a value of the widest type of fixed size."""


@dataclass(frozen=True)
class Limits:
    """Rows of a file, and bytes of its columns when they are unpacked."""

    rows: int
    size: int

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Those of the environment."""
        return cls(settings.delivery_rows, settings.delivery_bytes)


def require_readable(file: Path, folder: Path, limits: Limits | None) -> None:
    """Raise `DataError` for a link, a file that lies outside of the delivery folder, one that is no
    Parquet, and one above the limits.
    """
    import pyarrow as pa

    linked = [path for path in (file, *file.parents) if path != folder and path.is_symlink()]
    if folder in file.parents:
        linked = [path for path in linked if folder in path.parents]
    if linked:
        raise DataError(f"{linked[0]} is a link, and not followed: deliver the file itself.")
    try:
        rows, size = _extent(file)
    except (pa.ArrowException, pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            f"{file} cannot be read as Parquet: {error}. Nothing of this delivery was landed;"
            " deliver the file again, and start the interval again."
        ) from error
    if limits is None:
        return
    for what, found, limit, setting in (
        ("rows", rows, limits.rows, "DELIVERY_ROWS"),
        ("bytes when unpacked", size, limits.size, "DELIVERY_BYTES"),
    ):
        if found > limit:
            raise DataError(
                f"{file} has {found:,} {what}, and at most {limit:,} are read. Deliver shorter"
                f" intervals, or raise {PREFIX}{setting} on a machine that can hold them."
            )


def _extent(file: Path) -> tuple[int, int]:
    """Rows, and bytes of all columns when they are unpacked, as the file's last bytes tell."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        described = pq.read_metadata(file)
    except pa.ArrowNotImplementedError:
        # Arrow has no such type (integers of 128 bits, say), Polars has: what is wrong with the
        # column is for its declaration to say.
        frame = pl.scan_parquet(file, glob=False)
        rows = int(frame.select(pl.len()).collect().item())
        return rows, rows * len(frame.collect_schema()) * WIDEST_VALUE
    groups = range(described.num_row_groups)
    return described.num_rows, sum(described.row_group(each).total_byte_size for each in groups)
