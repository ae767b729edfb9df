"""The steps of batch scoring: `plan_partitions`, `score_partition` for each partition,
`publish_predictions`.

Partitions may be scored anywhere, in any order, more than once and at the same time: what has been
scored is found again in the staging area, and the plan says what belongs together.
"""

from __future__ import annotations

from typing import Any

from include.errors import NotReadyYet
from include.steps import StepContext
from include.tables.completed import is_complete, mark_complete
from include.tables.store import TableStore

PROCESS = "batch_scoring"
PARTITION_INPUT = "partition"


def plan_partitions(context: StepContext, inputs: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001  # every step takes inputs
    """Cut the interval into partitions and fix model and table versions for all of them: the plan
    of `include.scoring.plan`, and `scored`.

    A single partition is scored here and now, and is the one summary in `scored`: another task
    would cost more than the scoring. Raises `NotReadyYet` when the interval's features are not
    complete, `RegistryError` without a champion, `EmptyWindow` without targets, `DataError` when an
    id is missing or comes twice.
    """
    from include.scoring.champion import champion_model
    from include.scoring.plan import make_plan

    use_case, settings, interval = context.use_case, context.settings, context.interval
    tables = TableStore(settings.tables_uri)
    if not is_complete(tables, use_case.name, "features", interval):
        raise NotReadyYet(
            f"The features of {use_case.name} are not complete for [{interval.start},"
            f" {interval.end}). Run {use_case.dag_id('features')} for it first."
        )
    registered, _ = champion_model(settings, use_case)
    plan = make_plan(use_case, tables, interval, registered)
    alone = plan["partitions"] if len(plan["partitions"]) == 1 else []
    return {
        **plan,
        "scored": [
            score_partition(context, {"plan_partitions": plan, PARTITION_INPUT: part})
            for part in alone
        ],
    }


def score_partition(context: StepContext, inputs: dict[str, Any]) -> dict[str, Any]:
    """Score `inputs["partition"]` of `inputs["plan_partitions"]` and stage it; one that is staged
    already is not scored again.

    Returns the partition's summary and `resumed`. Raises `DataError` when the output is not sound.
    """
    from include.scoring.batch import check_predictions, read_entities, score_entities
    from include.scoring.champion import planned_model
    from include.scoring.plan import partition_interval, view_versions
    from include.scoring.staging import stage, staged_summary, summarise

    use_case, settings = context.use_case, context.settings
    plan, partition = inputs["plan_partitions"], inputs[PARTITION_INPUT]
    tables, number = TableStore(settings.tables_uri), int(partition["number"])
    known = staged_summary(use_case, tables, plan["scoring"], number)
    if known is not None:
        return {**known, "resumed": True}
    model = planned_model(settings, use_case, plan["version"], plan["digest"])
    entities = read_entities(
        use_case, tables, partition_interval(partition), plan["sources"][use_case.entity_table]
    )
    predictions = score_entities(
        use_case,
        settings,
        model,
        plan["version"],
        entities,
        context.interval,
        view_versions=view_versions(use_case, plan),
    )
    check_predictions(use_case, entities, predictions)
    summary = summarise(use_case, model, number, predictions)
    stage(use_case, tables, plan["scoring"], predictions, summary)
    return {**summary, "resumed": False}


def publish_predictions(context: StepContext, inputs: dict[str, Any]) -> dict[str, Any]:
    """Judge all partitions together, publish them in one commit, mark the interval; the same again
    changes nothing.

    Returns `rows`, `positive_decisions`, `mean_score`, `version`, `digest`, `unseen` (values per
    category input that the model does not know), `partitions`, `resumed` (of these, found ready),
    `score_psi`, `changed`, `sources` and `table`. Raises `DataError` when the output is not sound;
    then nothing is published.
    """
    from include.scoring.champion import planned_model
    from include.scoring.publication import judge, publish
    from include.scoring.staging import discard_staged

    use_case, settings, interval = context.use_case, context.settings, context.interval
    plan = inputs["plan_partitions"]
    summaries = [*plan["scored"], *_as_list(inputs.get("score_partition"))]
    tables = TableStore(settings.tables_uri)
    model = planned_model(settings, use_case, plan["version"], plan["digest"])
    verdict = judge(use_case, model, plan, summaries)
    table, changed = publish(use_case, tables, plan, summaries, context.run.run_id)
    evidence = {"version": plan["version"], "digest": plan["digest"], "table": table.as_json()}
    mark_complete(tables, use_case.name, PROCESS, interval, evidence)
    discard_staged(use_case, tables, interval)
    rows = sum(summary["rows"] for summary in summaries)
    return {
        "rows": rows,
        "positive_decisions": sum(summary["positive"] for summary in summaries),
        "mean_score": sum(summary["score_sum"] for summary in summaries) / rows,
        "version": plan["version"],
        "digest": plan["digest"],
        "unseen": {
            name: sum(summary["unseen"][name] for summary in summaries)
            for name in summaries[0]["unseen"]
        },
        "partitions": len(summaries),
        "resumed": sum(bool(summary.get("resumed")) for summary in summaries),
        "score_psi": verdict["score_psi"],
        "changed": changed,
        "sources": plan["sources"],
        "table": table.as_json(),
    }


def score_interval(context: StepContext, inputs: dict[str, Any]) -> dict[str, Any]:
    """All three steps in this process, one partition after the other: for notebooks, tests and
    intervals of any size.
    """
    plan = plan_partitions(context, inputs)
    waiting = [] if plan["scored"] else plan["partitions"]
    results = [
        score_partition(context, {"plan_partitions": plan, PARTITION_INPUT: partition})
        for partition in waiting
    ]
    return publish_predictions(context, {"plan_partitions": plan, "score_partition": results})


def _as_list(results: Any) -> list[dict[str, Any]]:
    """Airflow hands over one mapped result as it is, several as a list."""
    return [] if results is None else [results] if isinstance(results, dict) else list(results)
