from __future__ import annotations

import pytest
from airflow.api_fastapi.core_api.security import get_user
from fastapi.testclient import TestClient

from include.reports import share
from include.settings import load_settings
from plugins.pages import reports
from plugins.pages.lazy import LazyPage


class Manager:
    """Whoever is called reader may read DAGs."""

    def is_authorized_dag(self, *, method: str, user: str) -> bool:
        return method == "GET" and user == "reader"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FLIGHTDECK_HOME", str(tmp_path))
    monkeypatch.setattr(reports, "get_auth_manager", Manager)
    folder = load_settings().reports_dir / "monitoring" / "parcels"
    folder.mkdir(parents=True)
    (folder / "report ö.html").write_text("<h1>Report</h1>")
    (folder / "keys.pem").write_text("secret")
    (tmp_path / "outside.html").write_text("secret")
    (folder / "link.html").symlink_to(tmp_path / "outside.html")
    return folder


def client(user: str | None) -> TestClient:
    page = reports.reports_page()
    if user is not None:
        page.dependency_overrides[get_user] = lambda: user
    return TestClient(page)


def test_a_report_is_served_in_a_sandbox_to_who_may_read_dags(folder):
    answer = client("reader").get("/reports/monitoring/parcels/report%20%C3%B6.html")
    assert (answer.status_code, answer.text) == (200, "<h1>Report</h1>")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith("sandbox ")
    assert "allow-same-origin" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path",
    [
        "monitoring/parcels/none.html",
        "monitoring/parcels/keys.pem",
        "monitoring/parcels/link.html",
        "monitoring/parcels",
        "..%2Foutside.html",
        "%2Fetc%2Fpasswd",
    ],
)
def test_what_is_no_report_is_not_found(folder, path):
    assert client("reader").get(f"/reports/{path}").status_code == 404


def test_who_may_not_read_dags_and_who_is_nobody_see_nothing(folder):
    path = "/reports/monitoring/parcels/report%20%C3%B6.html"
    assert client("stranger").get(path).status_code == 403
    assert client(None).get(path).status_code == 401


def test_the_page_is_imported_at_its_first_request(folder):
    lazy = LazyPage("plugins.pages.reports:reports_page")
    assert TestClient(lazy).get("/reports/none.html").status_code == 401


def test_a_dag_leads_to_its_use_cases_page_over_time(folder, monkeypatch):
    monkeypatch.setattr(reports, "names", lambda: ["parcels", "letters"])
    (folder / "index.html").write_text("<h1>Over time</h1>")
    answer = client("reader").get("/monitoring/parcels__monitoring")
    assert (answer.status_code, answer.text) == (200, "<h1>Over time</h1>")
    assert answer.url.path == "/reports/monitoring/parcels/index.html"
    # A link in it is followed with Airflow's cookie, also within a frame; no script of it runs.
    policy = answer.headers["content-security-policy"]
    assert "allow-same-origin" in policy
    assert "default-src 'none'" in policy
    assert "script" not in policy
    none = client("reader").get("/monitoring/letters__training")
    assert "Nothing of letters has been monitored yet" in none.text
    strange = client("reader").get("/monitoring/%3Cb%3E..__x")
    assert "Nothing of &lt;b&gt;.. has been monitored yet" in strange.text
    assert client("stranger").get("/monitoring/parcels__monitoring").status_code == 403
    assert client(None).get("/monitoring/parcels__monitoring").status_code == 401


def test_a_report_of_another_host_is_shown_and_a_storage_that_is_away_is_said(
    folder, object_store, monkeypatch, tmp_path
):
    for name, value in object_store.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FLIGHTDECK_REPORTS_URI", f"{object_store.url}/{tmp_path.name}")
    here = load_settings()
    there = here.model_copy(update={"home": tmp_path / "of another host"})
    path = there.reports_dir / "monitoring" / "parcels" / "2013-04" / "pages" / "ünique.html"
    path.parent.mkdir(parents=True)
    path.write_text("<h1>From there</h1>")
    share(there, path.parent.parent)
    share(there, tmp_path / "outside.html")
    address = here.report_address(str(here.reports_dir / path.relative_to(there.reports_dir)))
    inside = address.partition("/flightdeck")[2]
    assert client("reader").get(inside).text == "<h1>From there</h1>"
    path.write_text("<h1>Anew</h1>")
    share(there, path)
    assert client("reader").get(inside).text == "<h1>Anew</h1>"
    # What this host wrote before reports were shared is still shown.
    before = client("reader").get("/reports/monitoring/parcels/report%20%C3%B6.html")
    assert before.text == "<h1>Report</h1>"
    assert client("reader").get("/reports/outside.html").status_code == 404
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    away = client("reader").get(inside)
    assert (away.status_code, away.headers["content-type"]) == (503, "application/json")
