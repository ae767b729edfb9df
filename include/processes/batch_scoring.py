"""The steps of batch scoring: `plan_partitions`, `score_partition` for each partition,
`publish_predictions`.

Partitions may be scored anywhere, in any order, more than once and at the same time: what has been
scored is found again in the staging area, and the plan says what belongs together.
"""

from __future__ import annotations

from include.errors import NotReadyYet
from include.processes.results import (
    Partition,
    PublishedPredictions,
    ScoredPartition,
    ScoringPlan,
)
from include.scoring.batch import check_predictions, read_entities, score_entities
from include.scoring.champion import champion_model, planned_model, read_by
from include.scoring.plan import make_plan, partition_interval, view_versions
from include.scoring.publication import judge, publish
from include.scoring.staging import (
    discard_staged,
    stage,
    staged_in_use,
    staged_summary,
    summarise,
)
from include.steps import StepContext
from include.tables.completed import is_complete, mark_complete
from include.tables.store import TableStore

PROCESS = "batch_scoring"


def plan_partitions(context: StepContext) -> ScoringPlan:
    """Cut the interval into partitions and fix model and table versions for all of them.

    A single partition is scored here and now: another task would cost more than the scoring. Raises
    `NotReadyYet` when the interval's features are not complete, `RegistryError` without a champion,
    `EmptyWindow` without targets, `DataError` when an id is missing or comes twice.
    """
    use_case, settings, interval = context.use_case, context.settings, context.interval
    tables = TableStore(settings.tables_uri)
    if not is_complete(tables, use_case.name, "features", interval):
        raise NotReadyYet(
            f"The features of {use_case.name} are not complete for [{interval.start},"
            f" {interval.end}). Run {use_case.dag_id('features')} for it first."
        )
    registered, model = champion_model(settings, use_case)
    use_case = read_by(use_case, model, registered.version)
    plan = ScoringPlan.model_validate(make_plan(use_case, tables, interval, registered))
    if len(plan.partitions) > 1:
        return plan
    scored = tuple(score_partition(context, plan, part) for part in plan.partitions)
    return plan.model_copy(update={"scored": scored})


def score_partition(
    context: StepContext, plan: ScoringPlan, partition: Partition
) -> ScoredPartition:
    """Score a partition and stage it; one that is staged already is not scored again.

    Raises `DataError` when the output is not sound.
    """
    with staged_in_use(context.settings, context.use_case, context.interval):
        return _score_partition(context, plan, partition)


def _score_partition(
    context: StepContext, plan: ScoringPlan, partition: Partition
) -> ScoredPartition:
    use_case, settings = context.use_case, context.settings
    tables, number = TableStore(settings.tables_uri), partition.number
    staged = staged_summary(use_case, tables, plan.scoring, number)
    if staged is not None:
        return ScoredPartition(**staged, resumed=True)
    model = planned_model(settings, use_case, plan.version, plan.digest)
    use_case = read_by(use_case, model, plan.version)
    entities = read_entities(
        use_case,
        tables,
        partition_interval(partition.as_json()),
        plan.sources[use_case.entity_table],
    )
    predictions = score_entities(
        use_case,
        settings,
        model,
        plan.version,
        entities,
        context.interval,
        view_versions=view_versions(use_case, plan.as_json()),
    )
    check_predictions(use_case, entities, predictions)
    summary = summarise(use_case, model, number, predictions)
    stage(use_case, tables, plan.scoring, predictions, summary)
    return ScoredPartition(**summary, resumed=False)


def publish_predictions(
    context: StepContext, plan: ScoringPlan, scored: tuple[ScoredPartition, ...]
) -> PublishedPredictions:
    """Check all partitions together, publish them in one commit, mark the interval; the same again
    changes nothing.

    `scored` are those that tasks of their own have scored. Raises `DataError` when the output is
    not sound; then nothing is published.
    """
    use_case, settings, interval = context.use_case, context.settings, context.interval
    parts = (*plan.scored, *scored)
    decided, summaries = plan.as_json(), [part.as_json() for part in parts]
    tables = TableStore(settings.tables_uri)
    model = planned_model(settings, use_case, plan.version, plan.digest)
    use_case = read_by(use_case, model, plan.version)
    verdict = judge(use_case, model, decided, summaries)
    with staged_in_use(settings, use_case, interval):
        table, changed = publish(use_case, tables, decided, summaries, context.run.run_id)
    evidence = {"version": plan.version, "digest": plan.digest, "table": table.as_json()}
    mark_complete(tables, use_case.name, PROCESS, interval, evidence)
    discard_staged(settings, use_case, tables, interval)
    rows, decides = sum(part.rows for part in parts), use_case.problem.kind == "binary"
    return PublishedPredictions(
        rows=rows,
        positive_decisions=sum(part.positive for part in parts) if decides else None,
        mean_score=sum(part.score_sum for part in parts) / rows,
        version=plan.version,
        digest=plan.digest,
        unseen={name: sum(part.unseen[name] for part in parts) for name in parts[0].unseen},
        partitions=len(parts),
        resumed=sum(part.resumed for part in parts),
        score_psi=verdict["score_psi"],
        changed=changed,
        sources=plan.sources,
        table=table,
    )


def score_interval(context: StepContext) -> PublishedPredictions:
    """All three steps in this process, one partition after the other: for notebooks, tests and
    intervals of any size.
    """
    plan = plan_partitions(context)
    waiting = () if plan.scored else plan.partitions
    scored = tuple(score_partition(context, plan, partition) for partition in waiting)
    return publish_predictions(context, plan, scored)
