"""The steps of monitoring: log, labels; the checks and then drift, performance beside them; report,
alarm.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import polars as pl

from include.errors import DataError, FlightdeckError, SettingsError
from include.inference_log.log import damaged_rows, ship, ship_feedback
from include.inference_log.retention import expire
from include.model.package import ScoringModel
from include.monitoring import (
    alarm,
    alarm_records,
    drift,
    labels,
    late_labels,
    parity,
    performance,
    records,
    report,
)
from include.monitoring.checks import registry
from include.monitoring.checks.efficiency import EFFICIENCY
from include.monitoring.checks.estimate import ESTIMATE
from include.monitoring.checks.schema_skew import SCHEMA_SKEW
from include.monitoring.decay import BOUNDS, PERFORMANCE
from include.monitoring.late_labels import ReopenedWindow
from include.monitoring.online_log import read_log
from include.monitoring.overview.evidently_ui import keep_run
from include.monitoring.overview.page import write_page_safely
from include.monitoring.population import Population, judged_model, read_population
from include.monitoring.serving_metrics import sample
from include.monitoring.version_metrics import log_metrics
from include.monitoring.window import build_window
from include.problems.registry import strategy_of
from include.processes.alarms import send_safely
from include.processes.results import (
    AlarmDecision,
    CheckedWindow,
    CollectedLog,
    DriftResult,
    JoinedLabels,
    MonitoringReport,
    PerformanceResult,
)
from include.settings.prices import Prices, prices_of
from include.spec import UseCase
from include.steps import StepContext
from include.tables.store import TableStore
from include.triggers import policy
from include.triggers.policy import Announcement
from include.verdict import Finding

LOG = logging.getLogger(__name__)


def collect_log(context: StepContext) -> CollectedLog:
    """Move what the endpoint has answered and was told into its tables, and delete what is older
    than `log_days`.

    The endpoint's own metrics are sampled on the way, once per interval.
    """
    settings, use_case, end = context.settings, context.use_case, context.interval.end
    return CollectedLog(
        **ship(settings, use_case.name),
        damaged_rows=damaged_rows(settings, use_case.name),
        feedback=ship_feedback(settings, use_case.name),
        expired=expire(settings, use_case, end),
        metrics=sample(settings, use_case, end),
    )


def join_labels(context: StepContext) -> JoinedLabels:
    """Write the labels that became known in the interval to `<use_case>/prediction_labels`, and
    count.
    """
    use_case, interval, tables = context.use_case, context.interval, _tables(context)
    population = read_population(use_case, tables, context.settings, interval)
    reported = labels.read_labels(use_case, tables, interval.start)
    log_name, written, impossible = f"{use_case.name}/inference_log", None, 0
    if tables.exists(log_name):
        log = read_log(use_case, tables, context.settings)
        written = labels.record_online(use_case, tables, log, reported, interval)
        impossible = labels.count_impossible(use_case, tables, log, reported.schema[labels.LABEL])
    if impossible:
        LOG.warning(
            "%d labels came as feedback with a known_at before they can be known (%s after the"
            " question's %s at the earliest); they count for nothing. Correct what the application"
            " sends: known_at is when the event was observed, and may be left out.",
            impossible,
            use_case.label.known_after,
            use_case.event_time,
        )
    result = JoinedLabels(
        batch=labels.count(use_case, population.batch, reported, interval.end),
        online=labels.count(use_case, population.online, reported, interval.end),
        table=written,
        impossible_feedback=impossible,
    )
    records.write_json(context.settings, _folder(context), "labels.json", result.as_json())
    return result


def detect_drift(context: StepContext, checked: CheckedWindow) -> DriftResult:
    """Decide whether the inputs have drifted, by what the checks found of each, beside the PSI of
    every input and of the score against the training data of the model that scored; writes
    `<use_case>/drift`.

    Raises `RegistryError` when the model's reference is missing or does not fit.
    """
    use_case, limits = context.use_case, context.use_case.monitoring
    population, model = _judged(context)
    measured = drift.measure(model, population.batch, limits, checked.findings)
    columns = [column.as_json() for column in measured]
    online: dict[str, Any] = {"rows": population.online_judged.height}
    if population.online_judged.height:
        answered = drift.measure(model, population.online_judged, limits)
        online["psi"] = {column.column: column.psi for column in answered}
    result = DriftResult(
        rows=population.batch.height,
        rows_of_other_versions=population.other_rows,
        model_version=population.version,
        **drift.verdict(measured, limits, checked.findings, checked.error),
        columns=tuple(columns),
        online=online,
        table=records.write_drift(use_case, _tables(context), context.interval, columns),
    )
    records.write_json(context.settings, _folder(context), "drift.json", result.as_json())
    return result


def evaluate_performance(context: StepContext) -> PerformanceResult:
    """Measure the interval's labelled predictions, overall and per slice, and what they lost
    against the model's test split.
    """
    use_case, interval = context.use_case, context.interval
    population, model = _judged(context)
    reported = labels.read_labels(use_case, _tables(context), interval.start)
    batch = labels.attach(use_case, population.batch, reported, interval.end)
    newest = population.online_judged.drop_nulls(use_case.id_column).unique(
        use_case.id_column, keep="last", maintain_order=True
    )
    metrics, baseline = performance.measure(batch, use_case), performance.baseline(model)
    result = PerformanceResult(
        rows=batch.height,
        model_version=population.version,
        batch=metrics,
        baseline=baseline,
        **performance.judge(metrics, baseline, use_case.monitoring, use_case.problem.kind),
        slices=performance.slices(use_case, model, batch),
        online={
            "rows": population.online.height,
            "rows_of_other_versions": population.online.height - population.online_judged.height,
            **_online(use_case, labels.attach(use_case, newest, reported, interval.end)),
        },
        parity=parity.compare(
            use_case, model.transform, population.batch, population.online_judged
        ),
    )
    records.write_json(context.settings, _folder(context), "performance.json", result.as_json())
    return result


def run_checks(context: StepContext) -> CheckedWindow:
    """Ask every registered check about the interval, beside the training set of the version that
    scored it; writes `<use_case>/findings`.

    A training set that is gone leaves the checks unasked, which is said, and drift not judged; the
    alarm does not wait for them.
    """
    use_case, interval, tables = context.use_case, context.interval, _tables(context)
    population, model = _judged(context)
    findings: tuple[Finding, ...] = ()
    error = None
    try:
        reported = labels.read_labels(use_case, tables, interval.start)
        labelled = labels.attach(use_case, population.batch, reported, interval.end)
        before = records.read_before(use_case, tables, interval.start)
        window = build_window(
            use_case,
            tables,
            model,
            population,
            labelled,
            interval,
            before=before,
            prices=_prices(context),
        )
        findings = tuple(registry.run_checks(window))
    except DataError as raised:
        error = str(raised)
        LOG.warning("No checks of %s %s: %s", use_case.name, interval.label, error)
    result = CheckedWindow(
        rows=population.batch.height,
        model_version=population.version,
        findings=findings,
        error=error,
        table=records.write_findings(use_case, tables, interval, population.version, findings),
    )
    records.write_json(context.settings, _folder(context), "checks.json", result.as_json())
    return result


def build_report(context: StepContext) -> MonitoringReport:
    """Write Evidently's HTML report and report.json into the interval's report folder.

    A report that cannot be built is reported as such (`html` null, `error`): the alarm does not
    wait for a picture.
    """
    folder = _folder(context)
    content: dict[str, Any] = {
        "html": None,
        "error": None,
        "left_out": {},
        "sample_rows": {},
        "mlflow": None,
    }
    try:
        population, model = _judged(context)
        compared = report.sides(context.use_case, _tables(context), model, population.batch)
        content["left_out"] = compared.left_out
        content["sample_rows"] = {
            "current": compared.current.height,
            "reference": compared.reference.height,
        }
        rendered = report.render(
            context.use_case, compared, context.interval, population.version, model
        )
        content["html"] = str(
            records.write_text(context.settings, folder, "report.html", rendered.page)
        )
        keep_run(context.settings, context.use_case, context.interval, rendered.run)
    except FlightdeckError as error:
        content["error"] = str(error)
    except Exception as error:  # noqa: BLE001  # whatever Evidently raises, the alarm is decided
        content["error"] = f"Evidently failed: {type(error).__name__}: {error}"
    else:
        content["evidently"] = _plain(rendered.details)
    if content["error"]:
        LOG.warning(
            "No monitoring report for %s %s: %s",
            context.use_case.name,
            context.interval.label,
            content["error"],
        )
    path = records.write_json(context.settings, folder, "report.json", content)
    if content["html"]:
        content["mlflow"] = records.log_report(
            context.settings, context.use_case, context.interval, population.version
        )
    shown = {key: content[key] for key in ("html", "error", "left_out", "sample_rows", "mlflow")}
    return MonitoringReport(**shown, json_path=str(path))


def decide_alarm(
    context: StepContext,
    joined: JoinedLabels,
    measured: DriftResult,
    evaluated: PerformanceResult,
    checked: CheckedWindow,
    built: MonitoringReport | None,
) -> AlarmDecision:
    """Apply the alarm policy and write the interval's row of `<use_case>/monitoring`, and those of
    windows before whose verdict late labels turn.

    An alarm says which kind of change it is, where the labels tell.
    """
    use_case = context.use_case
    decision = alarm.policy(use_case.monitoring, (*measured.findings, *evaluated.findings))
    if decision["alarm"]:
        decision["reasons"] += [item.reason for item in checked.findings if item.rule == "kind"]
    facts = _facts(use_case, measured, evaluated, joined)
    row = {
        **facts,
        "drifted_inputs_json": json.dumps(facts["drifted_inputs"]),
        "alarm": decision["alarm"],
        "verdict": decision["verdict"],
        "reasons_json": json.dumps([*decision["reasons"], *decision["not_judged"]]),
        "report": None if built is None else built.html,
        "labels_until": context.interval.end,
        "former_json": "[]",
    }
    columns = {name: row[name] for name in records.monitoring_schema(use_case) if name in row}
    reopened = _reopen(context, evaluated)
    table = records.write_monitoring(use_case, _tables(context), context.interval, columns)
    result = AlarmDecision(
        **decision,
        facts=facts,
        schema_findings=_about(SCHEMA_SKEW, checked),
        serving_findings=_about(EFFICIENCY, checked),
        reopened=reopened,
        table=table,
        mlflow=_log_metrics(context, measured, checked, {**facts, "alarm": decision["alarm"]}),
    )
    records.write_json(context.settings, _folder(context), "alarm.json", result.as_json())
    return result


def _reopen(context: StepContext, evaluated: PerformanceResult) -> tuple[ReopenedWindow, ...]:
    """The windows before whose verdict the labels turn that are known by now, told in the log and
    in MLflow too.
    """
    use_case, settings = context.use_case, context.settings
    reopened = late_labels.reopen(
        use_case, _tables(context), settings, context.interval, judged=evaluated.judged
    )
    for window in reopened:
        LOG.warning("%s", window.sentence)
        metrics = {**window.metrics, "alarm": window.alarm, "labelled": window.labelled}
        log_metrics(settings, use_case, window.interval, window.model_version, metrics)
    return tuple(reopened)


def _log_metrics(
    context: StepContext, measured: DriftResult, checked: CheckedWindow, facts: dict[str, Any]
) -> str:
    """Log the facts, the drift and the estimates of the window to the version's run."""
    estimates = {item.rule: item.observed for item in checked.findings if item.subject == ESTIMATE}
    shown = {**facts, **estimates, "drifted_share": measured.drifted_share}
    del shown["model_version"]
    version = measured.model_version
    logged = log_metrics(context.settings, context.use_case, context.interval, version, shown)
    if logged.startswith("not logged"):
        LOG.warning("Metrics of %s are %s", context.interval.label, logged)
    return logged


def propose_alarm(
    context: StepContext, decision: AlarmDecision, measured: DriftResult
) -> Announcement:
    """Record what was found as alarms, that of windows which late labels turned first, and what a
    training may cure as a cause of one, pending or suppressed; then write the page over time, and
    send what people are told.
    """
    faults = policy.broken_data(context, measured)
    run, use_case = f"{context.run.process}/{context.run.run_id}", context.use_case
    late = [window for window in decision.reopened if window.decides]
    raised = [
        alarm
        for window in late
        for alarm in alarm_records.record(
            context.settings,
            use_case,
            window.interval,
            run,
            window.findings,
            quiet=window.sentence,
        )
    ]
    raised += alarm_records.record(
        context.settings,
        use_case,
        context.interval,
        run,
        decision.findings,
        _schema_findings(faults, decision, measured),
        decision.serving_findings,
    )
    numbers = list(dict.fromkeys(alarm.number for alarm in raised))
    proposed = _with_late(use_case, decision, late)
    announced = policy.propose_alarm(context, proposed, measured, alarms=numbers)
    write_page_safely(context.settings, use_case)
    send_safely(context.settings)
    return announced


def _with_late(
    use_case: UseCase, decision: AlarmDecision, late: list[ReopenedWindow]
) -> AlarmDecision:
    """The decision, which is an alarm too where the newest window that late labels turned is one:
    it is the newest that could be judged.
    """
    if not late or late[-1].after != "decayed" or PERFORMANCE not in use_case.monitoring.alarm_on:
        return decision
    kinds = [kind for kind in decision.verdict.split("+") if kind not in ("none", PERFORMANCE)]
    reasons = [item.sentence for item in late[-1].findings if not item.passed]
    update = {
        "alarm": True,
        "verdict": "+".join([*kinds, PERFORMANCE]),
        "reasons": (*decision.reasons, *reasons),
    }
    return decision.model_copy(update=update)


def _prices(context: StepContext) -> Prices | None:
    """Those of the endpoint's machine; a file of prices that is wrong holds no check back."""
    try:
        return prices_of(context.settings, context.use_case.name)
    except SettingsError as error:
        LOG.warning("Nothing has a price: %s", error)
        return None


def _about(check: str, checked: CheckedWindow) -> tuple[Finding, ...]:
    return tuple(item for item in checked.findings if item.subject == check)


def _schema_findings(
    faults: list[str], decision: AlarmDecision, measured: DriftResult
) -> tuple[Finding, ...]:
    """What is wrong with the data: faults that keep a training from starting, and a schema that is
    not the training's. Nothing where neither could be judged.
    """
    judged = _fault_findings(faults) if faults or measured.judged else []
    return (*judged, *decision.schema_findings)


def _fault_findings(faults: list[str]) -> list[Finding]:
    if not faults:
        return [Finding(rule="data_faults", subject="schema", passed=True)]
    return [
        Finding(rule="data_faults", subject="schema", passed=False, reason=f"{fault}.")
        for fault in faults
    ]


def _online(use_case: UseCase, answered: pl.DataFrame) -> dict[str, float]:
    """Metrics of the endpoint's answers; none where the log does not tell the predicted class."""
    if not strategy_of(use_case).can_measure(answered):
        return {}
    return performance.measure(answered, use_case)


def _facts(
    use_case: UseCase, measured: DriftResult, evaluated: PerformanceResult, joined: JoinedLabels
) -> dict[str, Any]:
    metrics = evaluated.batch
    return {
        "model_version": measured.model_version,
        "rows": measured.rows,
        "labelled": joined.batch["labelled"],
        **{
            name: metrics.get(name)
            for name in ("auc", "brier", "logloss", "mean_score", "observed_rate")
        },
        **{name: metrics.get(name) for name in strategy_of(use_case).monitored_metrics},
        **{name: evaluated.bounds.get(name) for name in BOUNDS},
        "test_auc": evaluated.baseline.get("auc"),
        "drift": measured.verdict,
        "drifted_inputs": list(measured.drifted_inputs),
        "online_rows": evaluated.online["rows"],
        "online_auc": evaluated.online.get("auc"),
        "parity_max_difference": evaluated.parity["largest"],
    }


def _judged(context: StepContext) -> tuple[Population, ScoringModel]:
    population = read_population(
        context.use_case, _tables(context), context.settings, context.interval
    )
    return population, judged_model(context.use_case, context.settings, population)


def _tables(context: StepContext) -> TableStore:
    return TableStore(context.settings.tables_uri)


def _folder(context: StepContext) -> Path:
    return records.report_folder(context.settings, context.use_case, context.interval)


def _plain(value: Any) -> Any:
    """Evidently's result as plain JSON: its numpy numbers as numbers, NaN and infinity as null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str | bool | int | None):
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)
    return number if abs(number) < float("inf") else None
