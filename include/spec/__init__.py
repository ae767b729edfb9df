"""What a use case declares: one frozen `UseCase` per `include/use_cases/<name>/spec.py`.

Cheap to import (pydantic only): DAG files read it at parse time. Contradictions fail here, at
construction, with the field's name and what to use instead; nothing downstream has to check them
again.
"""

from include.spec.base import Part, Share
from include.spec.data_set import DataSet
from include.spec.estimators import ScikitLearn, XGBoost
from include.spec.expectations import Direction, FairnessGroups, Invariance
from include.spec.gates import Gates
from include.spec.operations import (
    SENTINELS,
    SEVERITIES,
    AlarmKind,
    Alarms,
    BatchScoring,
    DataChecks,
    Decay,
    Monitoring,
    ServingLimits,
    Severity,
    Target,
    Triggers,
)
from include.spec.problem import Binary, Multiclass, Problem, ProblemKind, Regression
from include.spec.release import (
    AB,
    Analysis,
    Bandit,
    BlueGreen,
    Canary,
    Direct,
    Release,
    Review,
    RiskClass,
    Shadow,
    Strategy,
)
from include.spec.request import (
    RequestColumn,
    RequestField,
    Serving,
    exchanged_columns,
    feature_types,
    request_model,
)
from include.spec.sources import (
    CsvSource,
    DeltaSource,
    FunctionSource,
    ParquetSource,
    Source,
    SqlSource,
)
from include.spec.tables import (
    Column,
    CrossTableRule,
    FeatureTable,
    Input,
    Label,
    RowRule,
    Table,
)
from include.spec.times import Schedule
from include.spec.training import Golden, Representation, Slice, Training
from include.spec.use_case import NAME_PATTERN, UseCase
from include.spec.values import ColumnType

__all__ = [
    "AB",
    "NAME_PATTERN",
    "SENTINELS",
    "SEVERITIES",
    "AlarmKind",
    "Alarms",
    "Analysis",
    "Bandit",
    "BatchScoring",
    "Binary",
    "BlueGreen",
    "Canary",
    "Column",
    "ColumnType",
    "CrossTableRule",
    "CsvSource",
    "DataChecks",
    "DataSet",
    "Decay",
    "DeltaSource",
    "Direct",
    "Direction",
    "FairnessGroups",
    "FeatureTable",
    "FunctionSource",
    "Gates",
    "Golden",
    "Input",
    "Invariance",
    "Label",
    "Monitoring",
    "Multiclass",
    "ParquetSource",
    "Part",
    "Problem",
    "ProblemKind",
    "Regression",
    "Release",
    "Representation",
    "RequestColumn",
    "RequestField",
    "Review",
    "RiskClass",
    "RowRule",
    "Schedule",
    "ScikitLearn",
    "Serving",
    "ServingLimits",
    "Severity",
    "Shadow",
    "Share",
    "Slice",
    "Source",
    "SqlSource",
    "Strategy",
    "Table",
    "Target",
    "Training",
    "Triggers",
    "UseCase",
    "XGBoost",
    "exchanged_columns",
    "feature_types",
    "request_model",
]
