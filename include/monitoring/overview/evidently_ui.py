"""The reports of monitoring in Evidently's own UI, where `evidently_port` starts it: one project
for each use case, and one run for each interval.

Both have ids that follow from their names, so that an interval that is judged again replaces its
run, and two copies of a run write the same files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, UUID, uuid5

from include.interval import Interval
from include.settings import Settings
from include.spec import UseCase

if TYPE_CHECKING:
    from evidently.core.report import Snapshot
    from evidently.ui.workspace import Workspace


def keep_run(settings: Settings, use_case: UseCase, interval: Interval, run: Snapshot) -> None:
    """Write the run into the workspace of the UI; nothing where the UI is not wanted.

    It is Evidently's summary of the report, without the rows. Raises `OSError`.
    """
    if not settings.evidently_port:
        return
    from evidently.ui.workspace import Workspace

    workspace = Workspace.create(str(settings.evidently_dir))
    project = project_id(use_case)
    _ensure_project(workspace, project, use_case)
    workspace.state.write_snapshot(project, uuid5(project, interval.label), run.to_snapshot_model())


def project_id(use_case: UseCase) -> UUID:
    """The id of the use case's project."""
    return uuid5(NAMESPACE_URL, f"flightdeck:{use_case.name}")


def _ensure_project(workspace: Workspace, project: UUID, use_case: UseCase) -> None:
    """The project, with a panel of how many columns have drifted by Evidently's count."""
    from evidently.sdk.models import PanelMetric, ProjectModel
    from evidently.sdk.panels import line_plot_panel

    if workspace.get_project(project) is not None:
        return
    model = ProjectModel(id=project, name=use_case.name, description=use_case.task)
    added = workspace.add_project(model)
    share = PanelMetric(
        legend="share", metric="DriftedColumnsCount", metric_labels={"value_type": "share"}
    )
    added.dashboard.add_panel(line_plot_panel("Columns past the limit, of a sample", [share]))
