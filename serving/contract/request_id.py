"""A caller may give a request an id, so that asking again after a lost connection answers the same
and logs nothing twice.

`X-Request-Id`: 1 to 128 letters, digits, `.`, `_`, `:` or `-`. The endpoint keeps the answer of
such a request for an hour, in the same commit as its log rows and in the same file, so it does not
matter which process is asked again.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import orjson
from starlette.types import Scope

from serving.contract.errors import UnreadableError

PATTERN = "^[A-Za-z0-9._:-]{1,128}$"
HEADER = b"x-request-id"
VALID = re.compile(PATTERN.encode())
PARAMETER = {
    "name": "X-Request-Id",
    "in": "header",
    "required": False,
    "description": (
        "An id of the caller's choice. The same id with the same request within an hour gets the"
        " same answer and is logged once; with another request it gets 409."
    ),
    "schema": {"type": "string", "pattern": PATTERN},
}


def request_id(scope: Scope, document: Any) -> tuple[str | None, str]:
    """Return the id and the fingerprint of a document that has been validated; (None, "") without
    one.

    Raises `UnreadableError` for an id of another form.
    """
    for name, value in scope["headers"]:
        if name == HEADER:
            if not VALID.fullmatch(value):
                message = "X-Request-Id must be 1 to 128 letters, digits, '.', '_', ':' or '-'."
                raise UnreadableError(400, "invalid_request_id", message, "x-request-id")
            content = orjson.dumps([scope["path"], document], option=orjson.OPT_SORT_KEYS)
            return value.decode(), hashlib.sha256(content).hexdigest()
    return None, ""
