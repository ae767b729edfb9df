"""`python -m cli export USE_CASE VERSION --to FOLDER`: a registered version for a place where
nothing of Flightdeck runs.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cli.platform.state import running_settings
from cli.records.reproduce import tracking_settings
from include.catalogue import load_use_case


def main(arguments: Sequence[str]) -> int:
    """Fetch, verify, export."""
    parser = argparse.ArgumentParser(
        prog="export",
        description="Export a registered version as ONNX and UBJ with its features' specification.",
    )
    parser.add_argument("use_case")
    parser.add_argument("version", type=int, help="the version's number in the registry")
    parser.add_argument(
        "--to", type=Path, required=True, metavar="FOLDER", help="a folder that does not exist yet"
    )
    given = parser.parse_args(arguments)
    from include.model.export import export_model
    from include.model.package import load_model
    from include.registry.versions import download, version

    settings = tracking_settings(running_settings())
    registered = version(settings, load_use_case(given.use_case), given.version)
    with tempfile.TemporaryDirectory(prefix="flightdeck-export-") as folder:
        model = load_model(download(registered, Path(folder)), expected_digest=registered.digest)
        digest = export_model(settings, model, registered.version, given.to.absolute())
    print(f"{given.use_case} version {registered.version} -> {given.to}, digest {digest[:16]}")
    return 0
