"""The step of batch scoring: `score_interval`."""

from __future__ import annotations

from typing import Any

from include.data.intervals import is_complete, mark_complete
from include.data.tables import TableStore
from include.errors import NotReadyYet
from include.steps import StepContext

PROCESS = "batch_scoring"


def score_interval(context: StepContext, inputs: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001  # every step takes inputs
    """Score all targets of the interval with the champion and publish them; the same again changes nothing.

    Returns `rows`, `positive_decisions`, `mean_score`, `version`, `digest`, `unseen` (values per category input that the model
    does not know) and `table`. Raises `NotReadyYet` when the interval's features are not complete, `RegistryError` without a
    champion, `EmptyWindow` without targets, `DataError` when the output is not sound; then nothing is published.
    """
    from include.scoring.batch import check_predictions, publish, read_entities, score_entities
    from include.scoring.champion import champion_model

    use_case, settings, interval = context.use_case, context.settings, context.interval
    tables = TableStore(settings.tables_uri)
    if not is_complete(tables, use_case.name, "features", interval):
        raise NotReadyYet(
            f"The features of {use_case.name} are not complete for [{interval.start}, {interval.end}). "
            f"Run {use_case.dag_id('features')} for it first."
        )
    registered, model = champion_model(settings, use_case)
    entities = read_entities(use_case, tables, interval)
    predictions = score_entities(use_case, settings, model, registered.version, entities, interval)
    check_predictions(use_case, entities, predictions)
    table = publish(use_case, tables, predictions, interval)
    evidence = {"version": registered.version, "digest": registered.digest, "table": table.as_json()}
    mark_complete(tables, use_case.name, PROCESS, interval, evidence)
    unseen = model.transform.unseen({name: predictions[name] for name in model.transform.columns})
    return {
        "rows": predictions.height,
        "positive_decisions": int(predictions["decision"].sum()),
        "mean_score": float(predictions["score"].to_numpy().mean()),
        "version": registered.version,
        "digest": registered.digest,
        "unseen": unseen,
        "table": table.as_json(),
    }
