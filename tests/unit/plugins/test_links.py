from __future__ import annotations

from include.settings import load_settings
from plugins.links import DATA_DOCS, MLFLOW_RUN, REPORT, links_of
from plugins.operators.gate import DataValidationOperator


def test_addresses_follow_from_what_a_step_left_and_read(tmp_path):
    settings = load_settings({"FLIGHTDECK_HOME": str(tmp_path)})
    docs = settings.reports_dir / "validation" / "parcels" / "index.html"
    addresses = links_of(
        settings,
        "parcels",
        {"version": 3, "digest": "d", "data_docs": str(docs), "html": None},
        {"mlflow_run_id": "r1", "experiment_id": "7", "version": 2, "digest": "e"},
    )
    assert addresses == {
        "MLflow run": f"{settings.mlflow_tracking_uri}/#/experiments/7/runs/r1",
        "MLflow version": f"{settings.mlflow_tracking_uri}/#/models/parcels/versions/3",
        "Data Docs": (f"{settings.airflow_url}/flightdeck/reports/validation/parcels/index.html"),
    }


def test_a_file_elsewhere_has_no_address(tmp_path):
    settings = load_settings({"FLIGHTDECK_HOME": str(tmp_path)})
    assert links_of(settings, "parcels", {"html": "/etc/passwd"}) == {}


def test_a_button_shows_the_address_that_the_operator_kept():
    operator = DataValidationOperator(
        task_id="validate_data", step="a:b", use_case="parcels", process="features"
    )
    (link,) = operator.operator_extra_links
    assert link == DATA_DOCS
    assert link.get_link(operator, ti_key=None) == ""
    operator.addresses = {"Data Docs": "http://here"}
    assert link.get_link(operator, ti_key=None) == "http://here"
    assert {MLFLOW_RUN.xcom_key, REPORT.xcom_key} == {"_link_mlflow_run", "_link_report"}
