"""Reports and Data Docs where every host finds them: below the home, and with
`FLIGHTDECK_REPORTS_URI` in object storage under the same names.

Whoever writes a report writes it into its own home first, and shares it then; whoever shows one
asks the storage, which has what any host wrote last.
"""

from __future__ import annotations

from pathlib import Path

from include.object_storage import ObjectStore
from include.settings import Settings


def share(settings: Settings, path: Path) -> None:
    """Put a report, or every file of a folder of them, where other hosts find it; a file elsewhere
    than below `reports_dir` is nobody else's, and stays.

    Raises `StorageError` where the storage is away or refuses.
    """
    if settings.reports_uri is None or not path.is_relative_to(settings.reports_dir):
        return
    store = ObjectStore(settings.reports_uri)
    files = [path] if path.is_file() else sorted(part for part in path.rglob("*") if part.is_file())
    for file in files:
        store.write(file.relative_to(settings.reports_dir).as_posix(), file.read_bytes())


def read_report(settings: Settings, name: str) -> bytes | None:
    """The content of a report by its path below `reports_dir`; None where there is none, or where
    the name leads elsewhere.

    Raises `StorageError` where the storage is away or refuses.
    """
    folder = settings.reports_dir.resolve()
    file = (folder / name).resolve()
    if not file.is_relative_to(folder) or file == folder:
        return None
    if settings.reports_uri is not None:
        stored = ObjectStore(settings.reports_uri).read(name)
        if stored is not None:
            return stored.content
    # Written before hosts shared their reports, or here alone.
    return file.read_bytes() if file.is_file() else None
