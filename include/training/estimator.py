"""The parts of a use case's declaration, and of the environment, that become XGBoost parameters."""

from __future__ import annotations

import ctypes
from typing import Any, Literal

from include.errors import SettingsError
from include.problems.registry import strategy_of
from include.settings import Settings
from include.spec import UseCase, XGBoost

Device = Literal["cpu", "cuda"]

DEFAULT_MAX_BIN = 256


def declared_parameters(use_case: UseCase) -> dict[str, Any]:
    """Monotone constraints in the inputs' order, and the class weights as the weight of label 1
    relative to label 0.

    Empty when nothing is declared. XGBoost applies `scale_pos_weight` to the gradients only, never
    to a metric; the weights of several classes, and those of another estimator, are weights of rows
    (`include.training.trainer`).
    """
    parameters: dict[str, Any] = {}
    if not isinstance(use_case.training.estimator, XGBoost):
        return parameters
    if any(item.monotone for item in use_case.inputs):
        parameters["monotone_constraints"] = tuple(item.monotone for item in use_case.inputs)
    return {**parameters, **strategy_of(use_case).booster_weights()}


def device_of(use_case: UseCase, settings: Settings) -> Device:
    """Where the use case's estimator is fitted: as it declares, else as the environment says;
    scikit-learn always on the CPU.
    """
    estimator = use_case.training.estimator
    if not isinstance(estimator, XGBoost):
        return "cpu"
    return estimator.device or settings.training_device


def device_parameters(device: Device) -> dict[str, Any]:
    """What a fit on that device needs; raises `SettingsError` where `cuda` is asked for and no GPU
    answers.

    XGBoost itself would go on on the CPU with a warning, and the record would name a device that
    was not used.
    """
    if device == "cpu":
        return {}
    if cuda_devices() == 0:
        raise SettingsError(
            "FLIGHTDECK_TRAINING_DEVICE (or training.estimator.device) is 'cuda', but this"
            " machine's driver shows no GPU; valid here: 'cpu'."
        )
    return {"device": "cuda"}


def require_cpu(use_case: UseCase, device: Device) -> None:
    """Raise `SettingsError` where rows that are not all in memory would be fitted on a GPU."""
    if device != "cpu":
        raise SettingsError(
            f"{use_case.name}: training.fit_in is {use_case.training.fit_in!r}, which fits on the"
            f" CPU, and FLIGHTDECK_TRAINING_DEVICE is {device!r}; set it to 'cpu', or"
            " training.estimator.device to 'cpu' for this use case, or training.fit_in to 'memory'."
        )


def cuda_devices() -> int:
    """GPUs that the CUDA driver shows; 0 without a driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value
