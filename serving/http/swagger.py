"""`GET /docs`: Swagger UI over `/docs.json`, its files from this machine.

The files are those that BentoML brings; nothing is asked of another host.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
}
FOLDER = ("_internal", "server", "static_content")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self'"
        " data:; connect-src 'self'"
    )
}
START = """
window.onload = () => SwaggerUIBundle({
  url: "/docs.json", dom_id: "#swagger-ui", deepLinking: true, docExpansion: "list",
  defaultModelsExpandDepth: 0, tryItOutEnabled: true, validatorUrl: null,
});
"""
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<title>Flightdeck endpoint: routes</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/docs/swagger-ui.css"><link rel="icon" href="data:,"></head>
<body><div id="swagger-ui"></div>
<noscript>This page needs JavaScript; <a href="/docs.json">/docs.json</a> does not.</noscript>
<script src="/docs/swagger-ui-bundle.js"></script><script src="/docs/start.js"></script>
</body></html>"""


def routes() -> list[Route]:
    """Return the page and its files."""
    return [
        Route("/docs", _page, methods=["GET"]),
        Route("/docs/start.js", _start, methods=["GET"]),
        *(Route(f"/docs/{name}", _asset, methods=["GET"]) for name in ASSETS),
    ]


@lru_cache(maxsize=1)
def assets_folder() -> Path:
    """Return where the files lie; BentoML itself is not imported."""
    package = find_spec("bentoml")
    places = [] if package is None else list(package.submodule_search_locations or ())
    return Path(places[0], *FOLDER) if places else Path()


async def _page(_: Request) -> Response:
    return HTMLResponse(PAGE, headers=HEADERS)


async def _start(_: Request) -> Response:
    return Response(START, media_type="text/javascript")


async def _asset(request: Request) -> Response:
    name = request.url.path.rpartition("/")[2]
    return FileResponse(
        assets_folder() / name,
        media_type=ASSETS[name],
        headers={"Cache-Control": "max-age=86400"},
    )
