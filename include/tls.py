"""What this machine trusts is read once in a process: to read it takes as much processor time as
dozens of requests to a neighbour.
"""

from __future__ import annotations

import ssl
from functools import cache


@cache
def trusted() -> ssl.SSLContext:
    """The context for every client of HTTP, with the authorities that httpx trusts by default."""
    import httpx

    return httpx.create_ssl_context()
