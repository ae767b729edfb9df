"""The text of a new use case's spec.py, from what was proposed of its source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from string import Template
from types import MappingProxyType

from cli.authoring.cadence import FEWEST_JUDGED, LOOK_BACK_DAYS, Cadence
from cli.authoring.columns import comment, figures, label_columns, question_columns
from cli.authoring.measured import DATA_CHECKS, Limits
from cli.authoring.profile import ColumnProfile, Profile
from cli.authoring.proposal import Limit, Problem, Roles
from include.quality.history import Proposal
from include.spec import Monitoring

ORDINARY = ("who", "half", "a", "the")
KINDS = {"string": "category", "timestamp": "hours_between"}

SPEC = Template('''\
"""$title: what is declared of it. It imports include.spec alone, because DAG files read it.

Every figure below was proposed from $rows rows of the source; each says where it comes from. Read
them as questions: is this true of next year's rows as well? docs/specification.md has all fields.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from include.spec import (
$imports)

# The questions: a row for each moment at which a prediction is wanted, as it is known then. A
# column that is only known with the label must not be here: the model would know the answer.
QUESTIONS = Table(
    name="raw/$name",
    description="One row per question.",
    key=($key,),
    time_column=$time,  # a run ingests the rows of its interval [start, end) by this column
$minimum_rows
    source=$source,
    columns=(
$columns
    ),
)

# The labels, in a table of their own: they become known after the question, and a training sees
# those that were known at its time. Of the source nothing says when that was, so it is assumed.
LABELS = Table(
    name="raw/${name}_labels",
    description="One row per question whose label is known.",
    key=($key,),
    time_column="known_at",
$label_minimum_rows
    source=$label_source,
    columns=(
$label_columns
    ),
)

USE_CASE = UseCase(
    name="$name",
    title=$title_text,
    owner="owner@example.org",  # who answers for the model
    task=$task,
    business_impact="To be written: what a right and a wrong answer are worth.",
    metric="To be written: which metric decides, and why.",
    data=$data,
    tags=("$kind_tag",),
    # First gates: no better than an answer without a model. Raise them after the first trainings.
    problem=$problem(
$limits
    ),
    data_set=DataSet(
        entity_table=QUESTIONS.name,
        id_column=$key,
        event_time=$time,
        feature_service="${name}_v1",
        label_table=LABELS.name,
        label_time="known_at",
    ),
    tables=(QUESTIONS, LABELS),
    # Computed in data.py, defined for Feast in feature_repo/$name.py.
    feature_tables=(FeatureTable(view="$view", table="features/$view"),),
    # The model's columns: values of the request, and `<view>:<feature>` from the feature store.
    inputs=(
$inputs
    ),
    serving=Serving(
        entity_keys=($entity,),
        request_fields=(
$request_fields
        ),
    ),
    label=Label(column=$label, description="To be written: what it says, with its unit."),
    training=Training(
$window
        parameters={"max_depth": 4, "eta": 0.1, "min_child_weight": 5},
        search_space={"max_depth": (2, 6), "min_child_weight": (1, 40)},
        trials=3,
    ),
$baseline$data_checks$monitoring$schedule
)
''')


def specification(
    name: str,
    profile: Profile,
    roles: Roles,
    problem: Problem,
    cadence: Cadence,
    source: tuple[str, dict[str, object]],
    limits: Limits = MappingProxyType({}),
) -> str:
    """The file. `source` is the class of include.spec and its arguments, `limits` are those that
    the rows' own history asks for.
    """
    label = profile.column(roles.label, "--label")
    view = view_name(name, roles)
    rows = profile.rows.height
    zone = {"timezone": "UTC"} if profile.zoneless else {}
    condition = {"where": f'"{label.name}" IS NOT NULL'} if label.null_share else {}
    monitoring = _monitoring(cadence)
    used = {source[0], problem.kind, *PARTS, *(["DataChecks"] if DATA_CHECKS in limits else [])}
    used |= {"Monitoring"} if monitoring else set()
    questions, labels = f"raw/{name}", f"raw/{name}_labels"
    title = name.replace("_", " ").capitalize()
    return SPEC.substitute(
        name=name,
        title=title,
        title_text=repr(title),
        rows=f"{rows:,}",
        imports="".join(f"    {part},\n" for part in sorted(used)),
        key=repr(roles.key),
        time=repr(roles.time),
        minimum_rows=_minimum_rows(cadence, limits.get(questions, {})),
        label_minimum_rows=_minimum_rows(None, limits.get(labels, {})),
        source=_source(source[0], {**source[1], **zone}),
        label_source=_source(
            source[0], {**source[1], **condition, **zone, "time_from": roles.time}, delay=True
        ),
        columns=question_columns(profile, roles, limits, questions),
        label_columns=label_columns(profile, roles, limits, labels),
        task=repr(f"The {roles.label} of a row, asked at {roles.time}."),
        data=repr(f"{rows:,} rows. To be written: source, licence, and what is left out."),
        kind_tag=problem.kind.lower(),
        problem=problem.kind,
        limits=_limits(problem),
        view=view,
        inputs=_inputs(profile, roles, problem, view),
        entity=repr(roles.entity),
        request_fields="\n".join(
            f"            RequestField(name={field!r}),"
            for field in (roles.time, *(column.name for column in roles.requested))
        ),
        label=repr(roles.label),
        window=_window(cadence),
        baseline=_baseline(problem),
        data_checks=_data_checks(limits.get(DATA_CHECKS, {})),
        monitoring=monitoring,
        schedule=_schedule(cadence),
    )


PARTS = (
    "Column",
    "DataSet",
    "FeatureTable",
    "Input",
    "Label",
    "RequestField",
    "Schedule",
    "Serving",
    "Table",
    "Training",
    "UseCase",
)


def view_name(name: str, roles: Roles) -> str:
    """What the feature view is called: no other use case can have it."""
    plain = "".join(sign if sign.isalnum() and sign.isascii() else "_" for sign in roles.entity)
    return f"{name}_by_{plain}".lower()


def feature_name(problem: Problem, days: int) -> str:
    """What the rolling mean of the label is called, over so many days."""
    plain = "".join(sign if sign.isalnum() and sign.isascii() else "_" for sign in problem.rate)
    return f"{plain}_{days}d".lower()


def _source(kind: str, arguments: dict[str, object], *, delay: bool = False) -> str:
    texts = [f"{name}={value!r}" for name, value in arguments.items()]
    if delay:
        texts.append("delay=timedelta(days=1)")
    return f"{kind}({', '.join(texts)})"


def _data_checks(limits: Mapping[str, Proposal]) -> str:
    """The limits that hold for all columns, where the defaults are too narrow for the history."""
    if not limits:
        return ""
    fields = ", ".join(f"{name}={proposal.proposed}" for name, proposal in limits.items())
    return (
        f"{comment(f'Between intervals: {figures(limits)}.', 4)}\n"
        f"    data_checks=DataChecks({fields}),\n"
    )


def _monitoring(cadence: Cadence) -> str:
    """From how many rows on an interval is judged, where a usual one has fewer than the default."""
    _, rows = cadence.monitoring
    half = rows // 2
    if not FEWEST_JUDGED <= half < rows < Monitoring().minimum_rows:
        return ""
    text = (
        f"Half of the usual {rows:,} rows of an interval: with the default of"
        f" {Monitoring().minimum_rows:,} rows none would be judged."
    )
    return f"{comment(text, 4)}\n    monitoring=Monitoring(minimum_rows={half}),\n"


def _minimum_rows(cadence: Cadence | None, limits: Mapping[str, Proposal]) -> str:
    if proposal := limits.get("minimum_rows"):
        reason, least = f"Half of the smallest interval: {proposal.figure}.", proposal.proposed
        return f"{comment(reason, 4)}\n    minimum_rows={least},"
    if cadence is None:
        return "    minimum_rows=1,"
    if cadence.fewest_rows > 1:
        fewest = f"Half of the smallest interval: {cadence.fewest_rows:,} rows."
        return f"{comment(fewest, 4)}\n    minimum_rows={cadence.fewest_rows // 2},"
    usual = f"A tenth of the usual {cadence.interval_rows:,} rows of an interval."
    return f"{comment(usual, 4)}\n    minimum_rows={max(1, cadence.interval_rows // 10)},"


def _limits(problem: Problem) -> str:
    lines = []
    if problem.classes:
        lines.append(f"        classes={problem.classes!r},")
    for limit in problem.limits:
        lines += [comment(_sentence(limit)), f"        {limit.name}={limit.value:g},"]
    return "\n".join(lines)


def _sentence(limit: Limit) -> str:
    """The reason with a capital, but for one that begins with the label's own name."""
    first = limit.reason.split(" ", 1)[0]
    return (
        limit.reason if first not in ORDINARY else first.capitalize() + limit.reason[len(first) :]
    )


def _inputs(profile: Profile, roles: Roles, problem: Problem, view: str) -> str:
    entity = profile.column(roles.entity, "--entity")
    lines = []
    if profile.recurs(entity.name, roles.time):
        lines.append(_input(entity))
    else:
        text = f"{entity.name} is no input: what is new has values that no earlier row has."
        lines.append(comment(text))
    lines += [_input(column) for column in roles.requested]
    taken = {column.name for column in profile.columns}
    for part in profile.calendar(roles.time):
        own = part if part not in taken else f"{roles.time}_{part}"
        lines.append(
            f"        Input(name={own!r}, source={roles.time!r}, kind='local_{part}',"
            " timezone='UTC'),"
        )
    lines += [
        f"        Input(name={feature_name(problem, days)!r},"
        f" source={f'{view}:{feature_name(problem, days)}'!r}),"
        for days in (7, LOOK_BACK_DAYS)
    ]
    for reason, columns in (
        (
            "new rows have values that no earlier row has",
            [column for column in roles.others if not column.is_measured],
        ),
        (
            "it is numbers but for some words",
            [column for column in roles.others if column.is_measured],
        ),
        (f"{roles.time} says it", roles.calendar),
    ):
        if columns:
            names = ", ".join(column.name for column in columns)
            lines.append(comment(f"No input, because {reason}: {names}."))
    return "\n".join(lines)


def _input(column: ColumnProfile) -> str:
    kind = KINDS.get(column.type, "number")
    return f"        Input(name={column.name!r}, source={column.name!r}, kind={kind!r}),"


def _window(cadence: Cadence) -> str:
    least = max(100, cadence.window_rows // 3)
    reason = f"About {cadence.window_rows:,} rows lie in {cadence.window_days} days; a third must."
    return (
        f"        window_days={cadence.window_days},\n"
        f"{comment(reason)}\n"
        f"        minimum_rows={least},"
    )


def _baseline(problem: Problem) -> str:
    if problem.kind == "Multiclass":
        return ""
    text = "Every candidate must beat this input as it is: what was lately so."
    return f"{comment(text, 4)}\n    baseline_input={feature_name(problem, 7)!r},\n"


def _schedule(cadence: Cadence) -> str:
    crons = ("features_cron", "batch_scoring_cron")
    monitoring, rows = cadence.monitoring
    watched = (
        []
        if monitoring == cadence.cron
        else [comment(f"About {rows:,} rows an interval; {cadence.cron} ones hold too few.")]
    )
    lines = [
        comment(cadence.reason, 4),
        "    schedule=Schedule(",
        f"        start={_moment(cadence.start)},",
        comment(_end_of(cadence)),
        f"        end={_moment(cadence.end)},",
        *(f"        {cron}={cadence.cron!r}," for cron in crons),
        *watched,
        f"        monitoring_cron={monitoring!r},",
        "    ),",
    ]
    return "\n".join(lines)


def _end_of(cadence: Cadence) -> str:
    if not cadence.beyond:
        return (
            "The end of the interval with the source's last row; leave it out where rows keep"
            " coming."
        )
    return (
        f"{rows_beyond(cadence)} Leave it out where rows keep coming, and later runs ingest them."
    )


def rows_beyond(cadence: Cadence) -> str:
    """Which rows no interval holds, as a sentence."""
    return (
        f"{cadence.beyond:,} rows from {cadence.end:%Y-%m-%d %H:%M} on lie in no interval: theirs"
        " is not over by the source's last row."
    )


def _moment(moment: datetime) -> str:
    parts: Iterable[int] = (moment.year, moment.month, moment.day, moment.hour, moment.minute)
    return f"datetime({', '.join(map(str, parts))}, tzinfo=UTC)"
