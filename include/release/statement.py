"""A version's statement: the signed word that a package was published under a number.

    <version folder>/release.json    {"use_case", "version", "digest", "signature"}

The number that callers are answered with and that stands in the log comes from it, not from the
name of a folder or from a plan that anybody could have written.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from include.errors import SignatureError
from include.files import write
from include.model.package import RELEASE_FILE
from include.model.signing import sign_statement, verify_statement
from include.settings import Settings

PURPOSE = "version statement"
ADVICE = "Deploy the version again; its package is published with one."


def state_version(
    settings: Settings, folder: Path, use_case: str, version: int, digest: str
) -> None:
    """Write into a package's folder under which number it is published."""
    statement = _statement(use_case, version, digest)
    signature = sign_statement(settings, PURPOSE, statement)
    content = json.dumps({**statement, "signature": signature}, indent=1)
    write(folder / RELEASE_FILE, content, durable=True)


def check_statement(folder: Path, key: Path, use_case: str, version: int, digest: str) -> None:
    """Raise `SignatureError` unless the package in `folder` was published as that version of the
    use case, by the private half of `key`.
    """
    path = folder / RELEASE_FILE
    try:
        document = json.loads(path.read_bytes())
        signature = str(document.pop("signature"))
    except FileNotFoundError as error:
        raise SignatureError(
            f"The package at {folder} does not say which version it is: there is no"
            f" {RELEASE_FILE}. {ADVICE}"
        ) from error
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise SignatureError(f"{path} holds no statement ({error!r}). {ADVICE}") from error
    statement = _statement(use_case, version, digest)
    if document != statement:
        raise SignatureError(
            f"The package at {folder} was published as version {document.get('version')} of"
            f" {document.get('use_case')} with digest {str(document.get('digest'))[:16]}, not as"
            f" version {version} of {use_case} with digest {digest[:16]}. {ADVICE}"
        )
    try:
        verify_statement(key, PURPOSE, statement, signature)
    except SignatureError as error:
        raise SignatureError(f"{path} was not signed by our key: {error} {ADVICE}") from error


def _statement(use_case: str, version: int, digest: str) -> dict[str, Any]:
    return {"use_case": use_case, "version": version, "digest": digest}
