"""Reports and Data Docs over HTTP, for whoever may read DAGs in Airflow."""

from __future__ import annotations

import html
from pathlib import PurePosixPath
from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from include.catalogue import names
from include.errors import StorageError
from include.reports import read_report
from include.settings import load_settings

# A report holds values of the data. In a sandbox a script among them is of no origin: it can
# neither read Airflow's cookie nor call its API.
HEADERS = {
    "Content-Security-Policy": "sandbox allow-scripts allow-popups",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-store",
}
# Ours has no script, and may run none; so it may keep its origin, without which a browser sends no
# cookie when a link in it is followed within Airflow's frame.
OVER_TIME = {
    **HEADERS,
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    " allow-same-origin allow-popups",
}
NO_PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Monitoring</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    "<style>:root{{color-scheme:light dark}}body{{font:16px/1.5 system-ui,sans-serif;padding:1rem}}"
    "</style></head><body><h1>Monitoring</h1><p>Nothing of {use_case} has been monitored yet. The"
    " first run of its monitoring DAG writes this page.</p></body></html>"
)
KINDS = {".html": "text/html; charset=utf-8", ".json": "application/json"}


def reports_page() -> FastAPI:
    """The application that Airflow's server mounts at `/flightdeck`."""
    application = FastAPI(title="Flightdeck", docs_url=None, redoc_url=None, openapi_url=None)
    application.get("/reports/{path:path}")(show_report)
    application.get("/monitoring/{dag_id}")(show_monitoring)
    return application


def show_monitoring(dag_id: str, user: Annotated[Any, Depends(get_user)]) -> Response:
    """Lead to the page over time of a DAG's use case; a page that says so where there is none."""
    require_reader(user)
    use_case, _, _ = dag_id.rpartition("__")
    page = f"monitoring/{use_case}/index.html"
    if use_case in names() and content_of(page) is not None:
        # Relative to /flightdeck/monitoring/<dag id>, so that a path before it stays.
        return RedirectResponse(f"../reports/{page}")
    return HTMLResponse(NO_PAGE.format(use_case=html.escape(use_case or dag_id)), headers=HEADERS)


def require_reader(user: Any) -> None:
    """Refuse with 403 who may not read DAGs."""
    if not get_auth_manager().is_authorized_dag(method="GET", user=user):
        raise HTTPException(403, "This user may not read DAGs in Airflow.")


def show_report(path: str, user: Annotated[Any, Depends(get_user)]) -> Response:
    """One file among the reports; 403 for who may not read DAGs, 404 for what is not there, is no
    page and no JSON, or lies elsewhere, 503 where hosts share reports and their storage is away.
    """
    require_reader(user)
    kind = KINDS.get(PurePosixPath(path).suffix)
    content = content_of(path) if kind is not None else None
    if content is None:
        raise HTTPException(404, f"There is no report {path!r}.")
    is_over_time = PurePosixPath(path).match("monitoring/*/index.html")
    return Response(content, media_type=kind, headers=OVER_TIME if is_over_time else HEADERS)


def content_of(path: str) -> bytes | None:
    """The report's content, None where there is none; raises the answer 503."""
    try:
        return read_report(load_settings(), path)
    except StorageError as error:
        raise HTTPException(503, str(error)) from error
