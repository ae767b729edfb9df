"""Values on their whole way: files, landing, tables, features, training matrix, batch scores,
answers over HTTP and gRPC, inference log and export say the same.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import orjson
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from include.catalogue import load_data_module
from include.errors import DataError, ServingError
from include.features.online.store import OnlineFeatures
from include.features.row_transform import RowTransform
from include.features.store import open_store
from include.inference_log.log import ship
from include.model.embedded import reader
from include.model.export import feature_specification
from include.model.package import ScoringModel, load_model
from include.model.signing import public_key
from include.monitoring.online_log import read_log
from include.processes.features import compute_features
from include.release.model_store import Desired
from include.scoring.batch import read_entities, score_entities
from include.settings import Settings
from include.spec import UseCase, request_model
from include.spec.values import LARGEST_INTEGER, LARGEST_NUMBER, LONGEST_TEXT
from include.tables.store import TableStore
from proofs.harness.data import as_request
from serving.contract.errors import InvalidError
from serving.engine.runtime import Runtime, RuntimeHolder
from serving.grpc import open_inference_pb2 as messages
from serving.grpc.messages import read_request
from serving.http.application import Application
from serving.models.loading import check_contract, load_served
from serving.oip.answering import Models
from serving.oip.tensors import to_bytes
from tests.integration.values_world import (
    ASKED,
    ASKED_FROM,
    ASKS,
    CUSTOMERS,
    FEATURES,
    ID,
    INTERVAL,
    KEY,
    NAME,
    SEEN_AT,
    USE_CASE,
    add_use_case,
    context_of,
    deliver,
    frames_of,
    publish,
    retrieved,
    settings_in,
    train,
    varied_rows,
)
from tests.step_runs import run_step

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:feast"),
]
STEP = 1e-6
"""What the engines of batch and endpoint may differ by."""


@dataclass(frozen=True)
class Ends:
    """Where values arrive: the model in a worker and the running endpoint with its event loop."""

    settings: Settings
    model: ScoringModel
    runtime: Runtime
    loop: asyncio.Runner


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ends]:
    home = tmp_path_factory.mktemp("values")
    own = settings_in(home)
    add_use_case()
    deliver(own, frames_of(varied_rows(60)))
    publish(own)
    folder = train(own)
    model = load_model(folder)
    served = load_served(Desired(1, model.digest, folder), USE_CASE, public_key(own))
    check_contract(USE_CASE, served)
    runtime = Runtime(own, {USE_CASE.name: USE_CASE})
    runtime.start()
    runtime.watcher.slots[USE_CASE.name].serve(served)
    until = time.monotonic() + 60
    while runtime.not_ready() and time.monotonic() < until:
        time.sleep(0.05)
    assert runtime.not_ready() is None
    with asyncio.Runner() as loop:
        yield Ends(own, model, runtime, loop)
        runtime.stop()


TEXT = st.text(min_size=1, max_size=LONGEST_TEXT) | st.sampled_from(["Ann", "東京", "<5", 'a "b"'])
INTEGER = st.integers(-LARGEST_INTEGER, LARGEST_INTEGER)
NUMBER = st.floats(-LARGEST_NUMBER, LARGEST_NUMBER, allow_nan=False)
# Time zones after 2037 are guesses, and not every library makes the same ones.
SECONDS = 2_114_000_000
TIME = st.integers(0, SECONDS * 1_000_000).map(
    lambda us: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
)
ROW = st.fixed_dictionaries(
    {
        KEY: INTEGER,
        NAME: st.none() | TEXT,
        "größe (m)": st.none() | NUMBER,
        "is open?": st.none() | st.booleans(),
        "due, at": st.none() | TIME,
        "select": st.none() | INTEGER,
        "load %": st.none() | NUMBER,
        "share": st.none() | st.floats(width=32, allow_nan=False, allow_infinity=False),
        "orders": st.none() | INTEGER,
        "vip": st.none() | st.booleans(),
        'the "tier"': st.none() | TEXT,
        "last order": st.none() | TIME.map(lambda moment: moment.replace(microsecond=0)),
        "asked": st.integers(0, 10_000_000),
    }
)
ROWS = st.lists(ROW, min_size=1, max_size=4, unique_by=lambda row: row[KEY])


def complete(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with what ties them together: ids, times, labels."""
    made = []
    for number, row in enumerate(rows):
        asked = ASKED_FROM + timedelta(microseconds=row["asked"] * 7 + number)
        made.append(
            {
                **row,
                ID: number - 2,
                ASKED: asked,
                "known at": asked + timedelta(hours=1),
                "late": number % 2,
                "seen-at": SEEN_AT,
            }
        )
    return made


def as_somebody_delivers(frame: pl.DataFrame, variant: int) -> pl.DataFrame:
    """The same values in other types that hold them all, as other programs write them."""
    return frame.with_columns(
        _disguised(frame[name], variant + n) for n, name in enumerate(frame.columns)
    )


def _disguised(values: pl.Series, variant: int) -> pl.Series:
    dtype = values.dtype
    if values.null_count() == len(values):
        return (values.cast(pl.Null), values, pl.Series(values.name, [float("nan")] * len(values)))[
            variant % 3
        ]
    if dtype == pl.String:
        return values.cast(pl.Categorical) if variant % 2 else values
    if dtype == pl.Int64:
        kinds = [pl.Float64, pl.Int128, pl.Decimal(38, 2)]
        kinds += [pl.UInt64] if values.min() >= 0 else []
        return values.cast(kinds[variant % len(kinds)])
    if dtype == pl.Float64:
        return values.fill_null(float("nan"))
    if isinstance(dtype, pl.Datetime):
        return (
            values.dt.cast_time_unit("ns"),
            values.dt.convert_time_zone("Asia/Kathmandu"),
            values,
        )[variant % 3]
    return values


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=ROWS, variant=st.integers(0, 11))
def test_a_value_is_the_same_wherever_it_is_read(
    ends: Ends, rows: list[dict[str, Any]], variant: int
) -> None:
    declared = frames_of(complete(rows))
    deliver(
        ends.settings,
        {name: as_somebody_delivers(frame, variant) for name, frame in declared.items()},
    )
    publish(ends.settings)
    tables = TableStore(ends.settings.tables_uri)
    for name, frame in declared.items():
        assert_frame_equal(tables.read(name).sort(frame.columns[0]), frame.sort(frame.columns[0]))
    frame = retrieved(ends.settings)
    _features_are_those_of_the_files(frame, declared)
    matrix = ends.model.transform.apply_frame(frame)
    batch = score_entities(
        USE_CASE,
        ends.settings,
        ends.model,
        1,
        read_entities(USE_CASE, tables, INTERVAL),
        INTERVAL,
    )
    assert batch["score"].to_list() == ends.model.score_matrix(matrix).tolist()
    requests = _requests(frame)
    by_key, by_features, over_grpc = ends.loop.run(_ask(ends, requests, frame))
    for answer in (by_key, by_features, over_grpc):
        np.testing.assert_allclose(
            [one["probability"] for one in answer], batch["score"], atol=STEP
        )
    assert [flag for one in by_key for flag in one["flags"] if "unknown" in flag] == []
    _log_holds(ends, frame, [one["prediction_id"] for one in by_key])
    exported = reader.matrix(feature_specification(ends.model, 1), _plain_rows(frame))
    np.testing.assert_array_equal(exported, matrix)


def _features_are_those_of_the_files(
    frame: pl.DataFrame, declared: dict[str, pl.DataFrame]
) -> None:
    sources = (
        declared[CUSTOMERS.name].select(KEY, *FEATURES).with_columns(pl.col("vip").cast(pl.Float64))
    )
    keys = declared[ASKS.name].sort(ASKED, ID).select(KEY)
    expected = keys.join(sources, on=KEY, how="left", maintain_order="left").drop(KEY)
    assert_frame_equal(
        frame.select(f"customer__{name}" for name in FEATURES),
        expected.rename({name: f"customer__{name}" for name in FEATURES}),
        check_exact=True,
    )


def _requests(frame: pl.DataFrame) -> list[dict[str, Any]]:
    sent = [column.name for column in request_model(USE_CASE)]
    return [as_request(row) for row in frame.select(sent).iter_rows(named=True)]


def _plain_rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    return json.loads(json.dumps([as_request(row) for row in frame.iter_rows(named=True)]))


async def _ask(
    ends: Ends, requests: list[dict[str, Any]], frame: pl.DataFrame
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    holder = RuntimeHolder()
    holder.runtime = ends.runtime
    names = [f"customer__{name}" for name in FEATURES]
    features = [as_request(row) for row in frame.select(names).iter_rows(named=True)]
    with_features = [
        {**request, "features": part} for request, part in zip(requests, features, strict=True)
    ]
    transport = httpx.ASGITransport(app=Application(holder))
    async with httpx.AsyncClient(transport=transport, base_url="http://endpoint") as client:
        answers = []
        for rows in (requests, with_features):
            response = await client.post(
                f"/v1/models/{USE_CASE.name}/predict",
                content=orjson.dumps({"rows": rows}),
                headers={"content-type": "application/json"},
            )
            assert response.status_code == 200, response.text
            answers.append(response.json()["predictions"])
    models = Models(ends.runtime)
    message = _message(models.select(USE_CASE.name), requests)
    tensors = await models.infer(USE_CASE.name, "", read_request(message))
    probabilities = next(part.values for part in tensors.outputs if part.name == "probability")
    return answers[0], answers[1], [{"probability": value} for value in probabilities]


def _message(model: Any, requests: list[dict[str, Any]]) -> Any:
    """The request over gRPC, in raw bytes."""
    nothing = {"BYTES": "", "FP64": float("nan")}
    inputs, raw = [], []
    for name, spec in model.inputs.items():
        values = [
            nothing[spec.datatype] if request[name] is None else request[name]
            for request in requests
        ]
        inputs.append(
            messages.ModelInferRequest.InferInputTensor(
                name=name, datatype=spec.datatype, shape=[len(values)]
            )
        )
        raw.append(to_bytes(spec.datatype, values))
    return messages.ModelInferRequest(
        model_name=USE_CASE.name, inputs=inputs, raw_input_contents=raw
    )


def _log_holds(ends: Ends, frame: pl.DataFrame, identifiers: list[str]) -> None:
    ship(ends.settings, USE_CASE.name)
    tables = TableStore(ends.settings.tables_uri)
    log = read_log(USE_CASE, tables, ends.settings, pl.col("prediction_id").is_in(identifiers))
    order = {identifier: number for number, identifier in enumerate(identifiers)}
    log = log.sort(pl.col("prediction_id").replace_strict(order))
    columns = [column.name for column in request_model(USE_CASE)]
    columns += [f"customer__{name}" for name in FEATURES]
    expected = frame.select(columns).cast({"customer__orders": pl.Float64})
    assert_frame_equal(log.select(columns), expected, check_exact=True)


def test_integer_keys_are_found_by_feasts_own_look_up_too(ends: Ends) -> None:
    deliver(ends.settings, frames_of(varied_rows(60)))
    publish(ends.settings)
    store = open_store(ends.settings)
    keys = [{KEY: 1_000_000 + number} for number in (0, 7, 999)]
    answer = store.get_online_features(
        store.get_feature_service(USE_CASE.feature_service), keys, full_feature_names=True
    ).to_dict()
    online = OnlineFeatures(USE_CASE, ends.settings)
    online.refresh()
    ours = online.lookup(keys, [INTERVAL.end] * len(keys))
    assert ours.unknown == [(), (), ("customer",)]
    for name in FEATURES:
        assert ours.columns[f"customer__{name}"] == answer[f"customer__{name}"]


@pytest.mark.parametrize("view", ["customer__load %", "customer__orders"])
def test_a_number_that_no_model_can_read_is_refused_in_every_way_in(ends: Ends, view: str) -> None:
    (frame,) = [retrieved(ends.settings).head(1)]
    request = _requests(frame)[0]
    names = [f"customer__{name}" for name in FEATURES]
    features = {**as_request(frame.select(names).row(0, named=True)), view: 1e39}

    async def ask() -> httpx.Response:
        holder = RuntimeHolder()
        holder.runtime = ends.runtime
        transport = httpx.ASGITransport(app=Application(holder))
        async with httpx.AsyncClient(transport=transport, base_url="http://endpoint") as client:
            return await client.post(
                f"/v1/models/{USE_CASE.name}/predict",
                json={"rows": [{**request, "features": features}]},
            )

    response = ends.loop.run(ask())
    assert response.status_code == 422
    assert response.json()["error"]["field"] == f"rows[0].features.{view}"
    with pytest.raises(DataError, match="1e\\+39"):
        ends.model.transform.apply_frame(frame.with_columns(pl.lit(1e39).alias(view)))
    with pytest.raises(DataError, match="1e\\+39"):
        RowTransform(ends.model.transform).matrix([{**frame.row(0, named=True), view: 1e39}])
    with pytest.raises(ValueError, match="1e\\+39"):
        reader.matrix(feature_specification(ends.model, 1), [{**_plain_rows(frame)[0], view: 1e39}])


def test_a_number_that_no_model_can_read_is_refused_where_the_online_store_holds_it(
    ends: Ends,
) -> None:
    """It may be there from before features were declared: the store takes any double."""
    publish(ends.settings)
    store, moment = open_store(ends.settings), INTERVAL.end - timedelta(seconds=1)
    row = TableStore(ends.settings.tables_uri).read("features/customer").head(1)
    key = row[KEY][0]
    wrong = row.with_columns(pl.lit(1e39).alias("load %"), pl.lit(moment).alias("seen-at"))
    store.write_to_online_store("customer", df=wrong.to_pandas())
    request = {**_requests(retrieved(ends.settings).head(1))[0], KEY: key, ASKED: str(moment)}
    good = {**request, KEY: key + 1_000_000}

    async def ask(*rows: dict[str, Any]) -> httpx.Response:
        holder = RuntimeHolder()
        holder.runtime = ends.runtime
        transport = httpx.ASGITransport(app=Application(holder))
        async with httpx.AsyncClient(transport=transport, base_url="http://endpoint") as client:
            content = orjson.dumps({"rows": rows})
            headers = {"content-type": "application/json"}
            url = f"/v1/models/{USE_CASE.name}/predict"
            return await client.post(url, content=content, headers=headers)

    response = ends.loop.run(ask(request))
    assert response.status_code == 422, response.text
    assert response.json()["error"]["code"] == "unscorable_value"
    assert "'customer__load %' holds 1e+39" in response.json()["error"]["message"]
    assert ends.loop.run(ask(good)).status_code == 200


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"load %": pl.lit(1e39)}, "'load %' must hold number.*1e\\+39.*in row 0"),
        ({"load %": pl.lit(float("inf"))}, "'load %' must hold number.*'inf' in row 0"),
        ({"orders": pl.lit(1.5)}, "'orders' must hold integer.*1.5 in row 0"),
        ({"vip": pl.lit(1)}, "'vip' must hold boolean"),
        (
            {"last order": pl.col("last order") + timedelta(milliseconds=1)},
            "'last order' must hold timestamp: timestamps with a time zone, in whole seconds",
        ),
        ({'the "tier"': pl.lit("")}, ".*tier.*must hold string.*Deliver null"),
        ({KEY: pl.lit("A1")}, f"'{KEY}' must hold integer.*'A1' in row 0"),
    ],
)
def test_features_that_are_not_what_feast_declares_are_refused_and_nothing_is_written(
    ends: Ends, monkeypatch: pytest.MonkeyPatch, values: Any, named: str
) -> None:
    tables = TableStore(ends.settings.tables_uri)
    module = load_data_module(USE_CASE)
    before, made = tables.version("features/customer"), module.compute_features
    monkeypatch.setattr(
        module,
        "compute_features",
        lambda *given: {"customer": made(*given)["customer"].with_columns(**values)},
    )
    with pytest.raises(DataError, match=f"feature view 'customer': column {named}"):
        run_step(compute_features, context_of(ends.settings))
    assert tables.version("features/customer") == before


def test_a_feature_that_was_declared_later_is_null_in_older_rows(ends: Ends) -> None:
    deliver(ends.settings, frames_of(varied_rows(60)))
    publish(ends.settings)
    tables = TableStore(ends.settings.tables_uri)
    rows = tables.read("features/customer")
    tables.replace_all("features/customer", rows.drop("share", "vip"))
    frame = retrieved(ends.settings)
    assert frame["customer__share"].null_count() == frame.height
    assert frame.schema["customer__vip"] == pl.Float64
    publish(ends.settings)
    assert retrieved(ends.settings)["customer__share"].null_count() < frame.height


def test_a_package_whose_rows_the_endpoint_would_refuse_does_not_serve(ends: Ends) -> None:
    served = ends.runtime.watcher.slots[USE_CASE.name].serving
    assert served is not None
    fields = USE_CASE.model_dump()
    for column in fields["tables"][0]["columns"]:
        column["max_null_share"] = 0.0
    with pytest.raises(ServingError, match=r"would refuse a row that the model was trained with"):
        check_contract(UseCase.model_validate(fields), served)


def test_nullable_whole_numbers_and_truths_have_a_tensor_with_a_null(ends: Ends) -> None:
    model = Models(ends.runtime).select(USE_CASE.name)
    described = {part["name"]: part["datatype"] for part in model.metadata([1])["inputs"]}
    assert (described["select"], described["is open?"], described[KEY]) == ("FP64", "FP64", "INT64")
    request = _requests(retrieved(ends.settings).head(1))[0]
    for changes, expected in (
        ({"select": 3.0, "is open?": 0.0}, (3, False)),
        ({"select": float("nan"), "is open?": float("nan")}, (None, None)),
    ):
        (row,) = model.rows(read_request(_message(model, [{**request, **changes}])))
        assert (row["select"], row["is open?"]) == expected
    for name, value in (("select", 1.5), ("is open?", 2.0)):
        with pytest.raises(InvalidError) as refused:
            model.rows(read_request(_message(model, [{**request, name: value}])))
        assert refused.value.field == f"{name}[0]"
