"""Tables in object storage: with what Delta's library reaches them, and what its errors mean.

What that library raises when the storage is away or refuses a key is many lines of its own
requests; here it becomes one sentence that says what to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from include.errors import DataError, StorageError
from include.object_storage import refusal
from include.settings.object_storage import access, is_remote, location

LIMITS = {
    # Some twenty seconds of trying again, where the library's own defaults are minutes.
    "timeout": "30s",
    "connect_timeout": "5s",
    "retry_timeout": "20s",
}
REQUEST = re.compile(r"Error performing \w+ http|S3 error|lacked the necessary privileges")
UNSUPPORTED = "Kernel error: Unsupported"
MISSING = re.compile(r"\b404\b|not found|NoSuchKey", re.IGNORECASE)


def storage_options(uri: str) -> dict[str, str] | None:
    """What Delta's library takes as `storage_options`; None for a folder.

    Raises `SettingsError` where the environment does not say how the storage is reached.
    """
    if not is_remote(uri):
        return None
    location(uri)
    how = access()
    http = {"AWS_ALLOW_HTTP": "true"} if (how.endpoint or "").startswith("http:") else {}
    return {**how.variables(), **http, **LIMITS}


@contextmanager
def reaching(uri: str) -> Iterator[None]:
    """Raise `StorageError` where the body ends because the storage is away or refuses, `DataError`
    where the table has a form that this version's library does not read; any other error stays,
    that of a file which is missing among them.
    """
    try:
        yield
    except (CommitFailedError, TableNotFoundError, FileNotFoundError):
        raise
    except (OSError, DeltaError, pl.exceptions.PolarsError) as error:
        text = str(error)
        if UNSUPPORTED in text:
            raise DataError(
                f"The table at {uri} has a form that is not read here"
                f" ({text.removeprefix(UNSUPPORTED).strip(': ')}). A newer version of Flightdeck,"
                " or another program, wrote it: use that version, or a backup from before."
            ) from error
        if not is_remote(uri) or not REQUEST.search(text):
            raise
        if MISSING.search(text) and "NoSuchBucket" not in text:
            raise
        raise StorageError(refusal(uri, text)) from None
