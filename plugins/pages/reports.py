"""Reports and Data Docs over HTTP, for whoever may read DAGs in Airflow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import FileResponse

from include.settings import load_settings

# A report holds values of the data. In a sandbox a script among them is of no origin: it can
# neither read Airflow's cookie nor call its API.
HEADERS = {
    "Content-Security-Policy": "sandbox allow-scripts allow-popups",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-store",
}
KINDS = {".html": "text/html; charset=utf-8", ".json": "application/json"}


def reports_page() -> FastAPI:
    """The application that Airflow's server mounts at `/flightdeck`."""
    application = FastAPI(title="Flightdeck", docs_url=None, redoc_url=None, openapi_url=None)
    application.get("/reports/{path:path}")(read_report)
    return application


def read_report(path: str, user: Annotated[Any, Depends(get_user)]) -> FileResponse:
    """One file below the folder of reports; 403 for who may not read DAGs, 404 for what is not
    there, is no page and no JSON, or lies elsewhere.
    """
    if not get_auth_manager().is_authorized_dag(method="GET", user=user):
        raise HTTPException(403, "This user may not read DAGs in Airflow.")
    folder = load_settings().reports_dir.resolve()
    file = (folder / path).resolve()
    kind = KINDS.get(Path(file).suffix)
    if kind is None or not file.is_relative_to(folder) or not file.is_file():
        raise HTTPException(404, f"There is no report {path!r}.")
    return FileResponse(file, media_type=kind, headers=HEADERS)
