"""Files of Feast's definitions beside each other: one that is wrong is named and stops no other."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from include.errors import FeatureStoreError, SpecError
from include.features.declared import declared_views
from include.features.entities import entity_by_key, entity_named, shared_entities
from include.features.repository import applied, load
from include.features.store import apply_definitions, open_store
from include.processes.declarations import problems
from include.settings import PROJECT_ROOT, Settings
from include.use_cases.flight_delays.spec import USE_CASE
from proofs.harness.home import home_settings

pytestmark = pytest.mark.slow  # Feast alone takes seconds to import

OTHERS = {"flights.py", "shared.py"}
HEAD = """
from datetime import timedelta
from feast import FeatureService
from feast.types import Float64
from feature_repo.shared import key, view
"""
SHOPS = (
    HEAD
    + """
shop = key("shop", "A shop.")
shop_daily = view("shop_daily", [shop], ttl=timedelta(days=1), fields={"rate": (Float64, "")})
shops_v1 = FeatureService(name="shops_v1", features=[shop_daily])
"""
)


class OwnRepo(Settings):
    """Settings whose Feast definitions lie in the home."""

    @property
    def feature_repo(self) -> Path:
        return self.home / "feature_repo"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home with the definitions of the flights, to which a test adds files."""
    made = OwnRepo.model_validate(home_settings(tmp_path).model_dump())
    made.feature_repo.mkdir()
    for file in ("__init__.py", "feature_store.yaml", *OTHERS):
        shutil.copy(PROJECT_ROOT / "feature_repo" / file, made.feature_repo)
    return made


def add(settings: Settings, file: str, text: str) -> None:
    (settings.feature_repo / file).write_text(text)


SHOP = 'shop = key("shop", "A shop.")\n'


def test_entities_are_listed_with_who_declares_them_and_what_there_is_of_each(settings):
    add(settings, "shops.py", SHOPS)
    add(settings, "more.py", HEAD + SHOP)
    listed = {each.name: each for each in shared_entities(settings, [USE_CASE])}
    assert set(listed) == {"carrier", "dest", "origin", "plane", "shop"}
    shop, origin, plane = (listed[name] for name in ("shop", "origin", "plane"))
    assert shop.files == ("more.py", "shops.py")
    assert (shop.views, shop.use_cases) == ({"shop_daily": ("rate",)}, ())
    assert set(origin.views) == {"route_daily", "origin_hourly", "weather_hourly"}
    assert (plane.join_key, plane.type, plane.use_cases) == (
        "tailnum",
        "string",
        ("flight_delays",),
    )
    assert entity_named(listed.values(), "tailnum") == plane
    with pytest.raises(SpecError, match="did you mean 'shop'"):
        entity_named(listed.values(), "shp")


def test_an_entity_is_used_again_where_key_and_type_are_alike(settings):
    add(settings, "shops.py", SHOPS)
    again = entity_by_key(settings, "shop", "string")
    assert again is not None
    assert again.name == "shop"
    assert entity_by_key(settings, "shop", "integer") is None
    assert entity_by_key(settings, "rate", "number") is None
    assert entity_by_key(settings, "customer", "string") is None
    add(settings, "broken.py", "shop = \n")
    assert entity_by_key(settings, "shop", "string") == again


VIEW = 'x = view("plane", [shop], ttl=timedelta(days=1), fields={"rate": (Float64, "")})\n'
SERVICE = 'z = FeatureService(name="flight_delays_v1", features=[x])\n'
BY_IMPORT = """
from feature_repo.flights import plane, plane_entity
shops_v2 = FeatureService(name="shops_v2", features=[plane])
"""
DOUBLED = {
    "view": (SHOP + VIEW, "feature view 'plane'"),
    "view in capitals": (SHOP + VIEW.replace("plane", "PLANE"), "feature view 'plane'"),
    "entity with another key": ('x = key("tail", "", name="plane")\n', "entity 'plane'"),
    "service": (
        SHOP + VIEW.replace("plane", "shop_daily") + SERVICE,
        "feature service 'flight_delays_v1'",
    ),
}


@pytest.mark.parametrize(("text", "what"), DOUBLED.values(), ids=DOUBLED)
def test_a_name_of_two_files_is_named_with_both_and_stops_no_third(
    text: str, what: str, settings: Settings
):
    add(settings, "a_mine.py", HEAD + text)
    add(settings, "shops.py", SHOPS.replace("shop", "store"))
    definitions = load(settings)
    assert set(definitions.refused) == {"a_mine.py", "flights.py"}
    reason = definitions.refused["a_mine.py"]
    assert reason.startswith(f"feature_repo/a_mine.py: the {what} is defined in")
    assert "feature_repo/flights.py" in reason
    assert {each.name for each in definitions.objects} == {"store", "store_daily", "stores_v1"}


WRONG = {
    "twice in one file": (
        SHOPS + 'again = view("Shop_Daily", [shop], ttl=timedelta(days=2), fields={})\n',
        "feature_repo/shops.py: the feature view 'shop_daily' is defined twice",
    ),
    "entity twice in one file": (
        SHOPS + 'again = key("other", "Another.", name="shop")\n',
        "feature_repo/shops.py: the entity 'shop' is defined twice",
    ),
    "a file that cannot run": (
        SHOPS + "nothing = no_such_name\n",
        "feature_repo/shops.py cannot be imported: line 10: NameError",
    ),
    "a file that ends its process": (
        SHOPS + "raise SystemExit\n",
        "feature_repo/shops.py cannot be imported: line 10: SystemExit",
    ),
    "an import that is not there": (
        SHOPS + "import no_such_library\n",
        "feature_repo/shops.py cannot be imported: line 10: ModuleNotFoundError",
    ),
    "a file that is no Python": ("def", "feature_repo/shops.py cannot be imported: SyntaxError"),
    "what Feast alone refuses": (
        SHOPS + 'empty = view("shop_hourly", [shop], ttl=timedelta(days=1), fields={})\n',
        "feature_repo/shops.py cannot be applied: ",
    ),
}


@pytest.mark.parametrize(("text", "reason"), WRONG.values(), ids=WRONG)
def test_a_file_that_is_wrong_is_named_and_the_others_are_applied(
    text: str, reason: str, settings: Settings
):
    add(settings, "shops.py", text)
    assert apply_definitions(settings) is True
    assert apply_definitions(settings) is False
    store = open_store(settings)
    assert {service.name for service in store.list_feature_services()} == {"flight_delays_v1"}
    (refusal,) = applied(settings)["refused"].values()
    assert refusal["reason"].startswith(reason)
    assert problems(USE_CASE, settings) == []
    assert set(declared_views(settings, ["plane"])) == {"plane"}


def test_who_was_applied_first_keeps_the_name(settings: Settings):
    apply_definitions(settings)
    add(settings, "a_mine.py", HEAD + SHOP + VIEW)
    apply_definitions(settings)
    assert set(load(settings).refused) == {"a_mine.py"}
    assert problems(USE_CASE, settings) == []
    assert open_store(settings).get_feature_view("plane").join_keys == ["tailnum"]


@pytest.mark.parametrize("text", [text for text, _ in DOUBLED.values()], ids=DOUBLED)
def test_a_file_keeps_its_names_for_as_long_as_it_is_wrong(text: str, settings: Settings):
    flights = (settings.feature_repo / "flights.py").read_text()
    apply_definitions(settings)
    for number in range(3):
        add(settings, "flights.py", flights + f"nothing = no_such_name_{number}\n")
        apply_definitions(settings)
    add(settings, "a_mine.py", HEAD + text)
    apply_definitions(settings)
    assert "flights.py" in applied(settings)["refused"]
    assert open_store(settings).get_feature_view("plane").join_keys == ["tailnum"]
    add(settings, "flights.py", flights)
    apply_definitions(settings)
    assert set(applied(settings)["refused"]) == {"a_mine.py"}
    assert open_store(settings).get_entity("plane").join_key == "tailnum"


def test_what_an_editor_leaves_beside_the_files_is_none_of_them(settings: Settings):
    (settings.feature_repo / ".#flights.py").symlink_to("someone@a-machine.4711")
    (settings.feature_repo / "._flights.py").write_bytes(b"\0\5\26\7")
    (settings.feature_repo / "old.py").mkdir()
    assert load(settings).refused == {}
    assert apply_definitions(settings)


def test_a_use_case_whose_file_is_refused_learns_it_where_it_computes(settings: Settings):
    add(settings, "shops.py", WRONG["twice in one file"][0])
    with pytest.raises(FeatureStoreError, match=r"feature_repo/shops\.py: .*'shop_daily'.* twice"):
        declared_views(settings, ["shop_daily"])
    with pytest.raises(FeatureStoreError, match=r"view 'plan'.*did you mean 'plane'"):
        declared_views(settings, ["plan"])
    other = USE_CASE.model_copy(update={"feature_service": "shops_v1"})
    lines = problems(other, settings)
    assert any("feature_repo/shops.py: the feature view 'shop_daily'" in line for line in lines)
    assert not any("feature_service is" in line for line in lines)


def test_a_file_that_cannot_be_read_is_told_once_and_not_of_each_of_its_names(settings: Settings):
    apply_definitions(settings)
    add(settings, "flights.py", "def")
    (line,) = problems(USE_CASE, settings)
    assert "feature_repo/flights.py cannot be imported: SyntaxError" in line
    misspelt = USE_CASE.model_copy(update={"feature_service": "flight_delay_v1"})
    assert any(
        "feature_service is 'flight_delay_v1'" in line for line in problems(misspelt, settings)
    )


@pytest.mark.parametrize(
    "text",
    ['carrier = key("carrier", "The same key, said otherwise.")\n', BY_IMPORT],
    ids=["an entity alike", "a view by import"],
)
def test_what_is_shared_on_purpose_is_applied(text: str, settings: Settings):
    add(settings, "shops.py", HEAD + text)
    assert load(settings).refused == {}
    assert apply_definitions(settings)
    assert applied(settings)["refused"] == {}
    assert applied(settings)["owners"]["feature view plane"] == "flights.py"


def test_who_imports_from_a_refused_file_is_refused_with_it(settings: Settings):
    add(settings, "flights.py", (settings.feature_repo / "flights.py").read_text() + DOUBLE_PLANE)
    add(settings, "shops.py", HEAD + BY_IMPORT)
    refused = load(settings).refused
    assert set(refused) == {"flights.py", "shops.py"}
    assert "it imports from feature_repo/flights.py" in refused["shops.py"]


DOUBLE_PLANE = '\nother = view("plane", [carrier], ttl=timedelta(days=1), fields={})\n'


def test_a_home_from_before_these_notes_gets_them_once(settings: Settings):
    apply_definitions(settings)
    (settings.feature_store_dir / "applied.json").unlink()
    assert apply_definitions(settings) is False
    assert applied(settings)["owners"]["feature view plane"] == "flights.py"
    assert {path.name for path in settings.feature_repo.glob("*.py")} - {"__init__.py"} == OTHERS
