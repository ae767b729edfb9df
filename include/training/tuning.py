"""The search for parameters: seeded, every trial recorded, the declared parameters always among
them, resumable after a kill.

The sampler is TPE (Bergstra et al., 2011). Each trial has a sampler of its own, seeded with the
specification's seed plus the trial's place in the search, and sees the finished trials only: a
search that was killed and goes on asks for the same parameters as one that was not.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from include.evaluation.evaluate import labels_of
from include.features.transform import FeatureTransform
from include.spec import UseCase
from include.training.estimator import DEFAULT_MAX_BIN, Device
from include.training.study import one_search, open_study
from include.training.trainer import Rows, Trainer, open_trainer

if TYPE_CHECKING:
    import optuna
    import xgboost

REPORT_EVERY = 10
COMPLETE = "complete"
PRUNED = "pruned"


@dataclass(frozen=True)
class Trial:
    """One trial: its place in the search, the searched parameters, the validation loss, the best
    round, the outcome.

    `loss` names the loss: `logloss` (nats), of a regression `rmse` or `mae`. A `pruned` trial was
    stopped early; its loss is the best that it had reached.
    """

    number: int
    parameters: dict[str, Any]
    validation_loss: float
    best_iteration: int
    state: str = COMPLETE
    loss: str = "logloss"

    @property
    def validation_logloss(self) -> float:
        """The loss of a classification. Raises `AttributeError` for a regression."""
        if self.loss != "logloss":
            raise AttributeError(f"the trial was judged by {self.loss}; use validation_loss")
        return self.validation_loss

    def as_json(self) -> dict[str, Any]:
        """All fields as plain JSON; the loss under its name, e.g. `validation_logloss`."""
        values = asdict(self)
        loss = values.pop("validation_loss")
        return {**values, f"validation_{self.loss}": loss}


def tune(
    use_case: UseCase,
    train: pl.DataFrame,
    validation: pl.DataFrame,
    *,
    trials: int,
    threads: int,
    journal: Path | None = None,
    device: Device = "cpu",
) -> list[Trial]:
    """All trials in order. They fit the newest `trial_rows` training rows; trial 0 is the
    specification's own parameters.

    With a `journal` the trials that it holds are kept, and their seconds count towards
    `tuning_seconds`. The first trial is made whatever the time. Without a search space there is one
    trial.
    """
    training = use_case.training
    trainer = _trainer(use_case, train, validation, threads=threads, device=device)
    planned = trials if training.search_space else 1
    with one_search(journal):
        study = open_study(journal, warm_up=training.prune_after_rounds)
        done, started, earlier = _finished(study), time.monotonic(), _seconds(study)
        while len(done) < planned and not (
            done and earlier + time.monotonic() - started >= training.tuning_seconds
        ):
            _next_trial(use_case, study, len(done), trainer)
            done = _finished(study)
    return done[:planned]


def best_trial(trials: list[Trial]) -> Trial:
    """The trial with the lowest validation loss, the earliest of equals.

    Trial 0 is never pruned, so there is one.
    """
    return min(
        (trial for trial in trials if trial.state == COMPLETE),
        key=lambda trial: (trial.validation_loss, trial.number),
    )


def _trainer(
    use_case: UseCase,
    train: pl.DataFrame,
    validation: pl.DataFrame,
    *,
    threads: int,
    device: Device,
) -> Trainer:
    max_bin = int(use_case.training.parameters.get("max_bin", DEFAULT_MAX_BIN))
    recent = train.tail(use_case.training.trial_rows)
    transform = FeatureTransform.fit(use_case, recent)
    fitted, judged = (
        Rows(transform.apply_frame(frame), labels_of(use_case, frame))
        for frame in (recent, validation)
    )
    return open_trainer(
        use_case, transform, fitted, judged, threads=threads, device=device, max_bin=max_bin
    )


def _next_trial(use_case: UseCase, study: optuna.Study, place: int, trainer: Trainer) -> None:
    """Ask, fit and tell one trial."""
    import optuna

    training = use_case.training
    study.sampler = optuna.samplers.TPESampler(seed=training.seed + place)
    if place == 0 and not study.get_trials(
        deepcopy=False, states=(optuna.trial.TrialState.WAITING,)
    ):
        study.enqueue_trial(
            {
                name: training.parameters[name]
                for name in training.search_space
                if name in training.parameters
            }
        )
    trial = study.ask()
    searched = {name: _suggest(trial, use_case, name) for name in training.search_space}
    watch = _watch(trial)
    fit = trainer.fit({**training.parameters, **searched}, callbacks=[watch])
    outcome = {
        "parameters": searched,
        "validation_loss": fit.validation_loss,
        "best_iteration": fit.best_iteration,
        "loss": fit.loss,
    }
    trial.set_user_attr("found", outcome)
    if watch.stopped:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    else:
        study.tell(trial, fit.validation_loss)


def _watch(trial: optuna.Trial) -> Any:
    """A callback of XGBoost that reports every tenth round's validation loss and stops a trial that
    the pruner gives up.
    """
    import xgboost

    class Watch(xgboost.callback.TrainingCallback):  # type: ignore[misc]  # XGBoost is untyped
        stopped = False

        def after_iteration(
            self,
            model: xgboost.Booster,  # noqa: ARG002
            epoch: int,
            evals_log: dict[str, Any],
        ) -> bool:
            if (epoch + 1) % REPORT_EVERY:
                return False
            trial.report(next(iter(evals_log["validation"].values()))[-1], epoch + 1)
            self.stopped = trial.should_prune()
            return self.stopped

    return Watch()


def _finished(study: optuna.Study) -> list[Trial]:
    """The finished trials by their place in the search; what a kill cut short is not among them."""
    import optuna

    states = {optuna.trial.TrialState.COMPLETE: COMPLETE, optuna.trial.TrialState.PRUNED: PRUNED}
    ended = study.get_trials(deepcopy=False, states=tuple(states))
    return [
        Trial(place, **trial.user_attrs["found"], state=states[trial.state])
        for place, trial in enumerate(ended)
    ]


def _seconds(study: optuna.Study) -> float:
    import optuna

    ended = study.get_trials(
        deepcopy=False, states=(optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    )
    return float(
        sum(trial.duration.total_seconds() for trial in ended if trial.duration is not None)
    )


def _suggest(trial: optuna.Trial, use_case: UseCase, name: str) -> int | float:
    low, high = use_case.training.search_space[name]
    log = name in use_case.training.log_scale
    if float(low).is_integer() and float(high).is_integer():
        return int(trial.suggest_int(name, int(low), int(high), log=log))
    return float(trial.suggest_float(name, low, high, log=log))
