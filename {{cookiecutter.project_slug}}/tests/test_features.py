"""Features and the transformer: golden values, one row equals the batch, and what a trained model makes of them."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from {{cookiecutter.package_name}}.model.batch import EPOCH, from_frame, from_rows
from {{cookiecutter.package_name}}.model.id import VersionId
from {{cookiecutter.package_name}}.model.version import ModelVersion
from {{cookiecutter.package_name}}.serving.worker import open_placed
from {{cookiecutter.package_name}}.spec import Column
from {{cookiecutter.package_name}}.transform import FEATURES, Transformer, transformer
from {{cookiecutter.package_name}}.transform.transformer import canonical

from conftest import Project

NAN = float("nan")


def at(*moments: datetime) -> dict[str, np.ndarray]:
    return {"created_at": np.array([(moment - EPOCH).total_seconds() for moment in moments])}


def columns(**values: list[float]) -> dict[str, np.ndarray]:
    return {name: np.array(column, dtype=np.float64) for name, column in values.items()}


def test_the_weekday_is_the_calendar_s_on_every_day_of_a_century() -> None:
    days = [datetime(1950, 1, 1, 23, 59, 59, tzinfo=UTC) + timedelta(days=n) for n in range(36_525)]
    assert FEATURES["weekday"](at(*days)).tolist() == [day.weekday() for day in days]
    assert FEATURES["is_weekend"](at(*days)).tolist() == [float(day.weekday() >= 5) for day in days]


@pytest.mark.parametrize(
    ("moment", "hour", "weekday"),
    [
        (datetime(2026, 5, 20, tzinfo=UTC), 0.0, 2),
        (datetime(2026, 5, 20, 9, 30, tzinfo=UTC), 9.5, 2),
        (datetime(2026, 5, 20, 23, 59, 59, 999_999, tzinfo=UTC), 24 - 1e-6 / 3600, 2),
        (datetime(2024, 2, 29, 12, tzinfo=UTC), 12.0, 3),
        (datetime(1970, 1, 1, tzinfo=UTC), 0.0, 3),
        (datetime(1969, 12, 31, 23, tzinfo=UTC), 23.0, 2),
        (datetime(1900, 2, 28, 6, tzinfo=UTC), 6.0, 2),
        (datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC), 3 + 14 / 60 + 8 / 3600, 1),
    ],
)
def test_hour_and_weekday_at_the_edges(moment: datetime, hour: float, weekday: int) -> None:
    assert FEATURES["hour_of_day"](at(moment))[0] == pytest.approx(hour, abs=1e-9)
    assert FEATURES["weekday"](at(moment)).tolist() == [weekday]


def test_the_other_features_have_the_values_worked_out_by_hand() -> None:
    c = columns(distance_km=[100, 0.25, NAN], promised_hours=[48, 0.5, 12], customer_age_days=[29.99, 30, NAN])
    assert FEATURES["promised_speed_kmh"](c).tolist()[:2] == [100 / 48, 0.5]
    assert FEATURES["root_distance"](c).tolist()[:2] == [10.0, 0.5]
    assert np.isnan(FEATURES["promised_speed_kmh"](c)[2])
    assert FEATURES["is_new_customer"](c).tolist() == [1.0, 0.0, 1.0]


def test_every_feature_has_a_golden_value_above() -> None:
    assert set(FEATURES) == {
        "hour_of_day", "weekday", "is_weekend", "promised_speed_kmh", "root_distance", "is_new_customer",
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(FEATURES))
def test_features_are_pure(name: str) -> None:
    c = columns(created_at=[1e9, NAN], distance_km=[0, NAN], promised_hours=[0, 1], customer_age_days=[NAN, 3])
    before = {key: values.tobytes() for key, values in c.items()}
    with np.errstate(all="ignore"):
        first, second = FEATURES[name](c), FEATURES[name](c)
    assert {key: values.tobytes() for key, values in c.items()} == before
    assert first.dtype == np.float64
    assert first.shape == (2,)
    assert first.tobytes() == second.tobytes()


KINDS = {
    "created_at": "time", "distance_km": "number", "promised_hours": "number", "customer_age_days": "number",
    "fragile": "flag", "depot": "category", "service": "category",
}  # fmt: skip
NUMBERS = ["distance_km", "promised_hours", "customer_age_days", "fragile"]
number = st.floats(allow_nan=False, allow_infinity=False, width=32) | st.just(NAN)
level = st.sampled_from(["a", "b", "ß", ""]) | st.none()
row = st.fixed_dictionaries({name: level if kind == "category" else number for name, kind in KINDS.items()})


def as_batch(rows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    dtype = {"category": object}
    return {
        name: np.array([one[name] for one in rows], dtype=dtype.get(kind, np.float64)) for name, kind in KINDS.items()
    }


def fitted(rows: list[dict[str, Any]], **settings: Any) -> Transformer:
    asked = {"columns": [*NUMBERS, "depot", "service"], "derived": list(FEATURES)} | settings
    return Transformer(KINDS, **asked).fit(as_batch(rows))


@given(st.lists(row, min_size=1, max_size=12), st.lists(row, min_size=1, max_size=12), st.booleans())
def test_one_row_equals_the_batch_to_the_last_bit(
    training: list[dict[str, Any]], rows: list[dict[str, Any]], linear: bool
) -> None:
    made = fitted(training, **({"encode": "onehot", "impute": True, "scale": True} if linear else {}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = made.transform(as_batch(rows))
        single = np.vstack([made.transform(as_batch([one])) for one in rows])
    assert whole.dtype == np.float64
    assert whole.shape == (len(rows), len(made.get_feature_names_out()))
    assert not np.isinf(whole).any()
    assert whole.tobytes() == single.tobytes()


@given(st.lists(row, min_size=1, max_size=8))
def test_the_order_of_columns_in_a_batch_is_of_no_account(rows: list[dict[str, Any]]) -> None:
    made = fitted(rows)
    batch = as_batch(rows)
    turned = {name: batch[name] for name in reversed(list(batch))} | {"unknown": np.zeros(len(rows))}
    assert made.transform(turned).tobytes() == made.transform(batch).tobytes()


def some(**changes: Any) -> dict[str, Any]:
    return {
        "created_at": 1e9, "distance_km": 9.0, "promised_hours": 3.0, "customer_age_days": 5.0, "fragile": 1.0,
        "depot": "a", "service": "x",
    } | changes  # fmt: skip


def value(made: Transformer, name: str, rows: list[dict[str, Any]]) -> list[float]:
    names = [str(one) for one in made.get_feature_names_out()]
    return made.transform(as_batch(rows))[:, names.index(name)].tolist()


def test_levels_get_their_code_and_what_was_never_seen_is_missing() -> None:
    made = fitted([some(depot=level) for level in ("b", "a", "c", "a")])
    assert value(made, "depot", [some(depot=level) for level in ("a", "b", "c")]) == [0, 1, 2]
    assert np.isnan(value(made, "depot", [some(depot="new"), some(depot=None)])).all()


def test_a_null_level_is_one_of_its_own_if_training_saw_it() -> None:
    made = fitted([some(depot=level) for level in ("b", None, "a")])
    assert value(made, "depot", [some(depot=level) for level in ("a", "b", None)]) == [0, 1, 2]


def test_one_hot_has_a_column_a_level_and_zeros_for_what_was_never_seen() -> None:
    made = fitted([some(depot=level) for level in ("b", None, "a")], encode="onehot", columns=["depot"], derived=[])
    assert made.get_feature_names_out().tolist() == ["depot=a", "depot=b", "depot=None"]
    asked = as_batch([some(depot=level) for level in ("b", "a", None, "new")])
    assert made.transform(asked).tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]]


def test_nulls_become_the_median_of_training_and_not_of_the_batch() -> None:
    training = [some(distance_km=x) for x in (1.0, 5.0, 100.0, NAN)]
    made = fitted(training, impute=True)
    assert value(made, "distance_km", [some(distance_km=NAN), some(distance_km=7.0)]) == [5.0, 7.0]
    assert np.isnan(value(fitted(training), "distance_km", [some(distance_km=NAN)])[0])


def test_a_column_that_training_never_knew_is_filled_with_zero() -> None:
    made = fitted([some(distance_km=NAN)], impute=True, scale=True)
    assert value(made, "distance_km", [some(distance_km=NAN)]) == [0.0]


def test_scaling_is_that_of_training_and_a_constant_is_not_divided_by_zero() -> None:
    made = fitted([some(distance_km=x) for x in (2.0, 4.0, 6.0)], scale=True)
    spread = np.std([2.0, 4.0, 6.0])
    asked = [some(distance_km=10.0), some(distance_km=4.0)]
    assert value(made, "distance_km", asked) == pytest.approx([6 / spread, 0])
    assert value(made, "promised_hours", [some(), some(promised_hours=5.0)]) == [0.0, 2.0]


def test_division_by_zero_and_overflow_are_missing_values_in_silence() -> None:
    made = fitted([some()])
    asked = [some(promised_hours=0.0), some(distance_km=0.0, promised_hours=0.0), some(distance_km=1e308)]
    asked[2]["promised_hours"] = 1e-308
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(value(made, "promised_speed_kmh", asked)).all()
        assert np.isnan(value(made, "root_distance", [some(distance_km=-1.0)])).all()


@pytest.mark.parametrize("wrong", [lambda c: 3.0, lambda c: c["distance_km"][:-1], lambda c: np.ones((2, 2))])
def test_a_feature_of_the_wrong_shape_is_an_error_that_names_it(wrong: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(transformer.FEATURES, "lopsided", wrong)
    with pytest.raises(ValueError, match=r"feature lopsided: expected shape \(2,\), returned"):
        fitted([some(), some()], derived=["lopsided"])


def test_a_transformer_can_be_cloned_as_scikit_learn_does() -> None:
    made = fitted([some()], encode="onehot", impute=True)
    again = clone(made).fit(as_batch([some()]))
    assert again.get_feature_names_out().tolist() == made.get_feature_names_out().tolist()


def test_a_column_reads_the_same_whoever_wrote_the_null() -> None:
    assert canonical(["a", None, NAN], "category").tolist() == ["a", None, None]
    assert canonical([1, None], "number").tolist()[0] == 1.0
    assert canonical([True, False], "flag").tolist() == [1.0, 0.0]
    times = np.array(["2026-05-20T00:00:01.5", "NaT"], dtype="datetime64[ns]")
    assert canonical(times, "time").tolist()[0] == 1779235201.5
    assert np.isnan(canonical(times, "time")[1])


moments = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds


@given(st.lists(moments | st.none(), min_size=1, max_size=20))
def test_a_time_has_the_same_bits_from_a_frame_and_from_a_request(times: list[datetime | None]) -> None:
    import polars as pl

    column = Column(name="t", kind="time", meaning="", nullable=True)
    frame = pl.DataFrame(pl.Series("t", times, dtype=pl.Datetime("us", "UTC")))
    rows = [dict(t=time) for time in times]
    assert from_frame([column], frame)["t"].tobytes() == from_rows([column], rows)["t"].tobytes()


@pytest.fixture(scope="module")
def models(_trained: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelVersion]:
    """hours/1 and late/1 as a server would load them."""
    made = _trained.copy(tmp_path_factory.mktemp("loaded") / "project")
    from {{cookiecutter.package_name}}.training.registry import Registry

    registry = Registry(made.paths)
    ids = [VersionId("hours", 1), VersionId("late", 1)]
    for id in ids:
        registry.fetch(id)
    return {id.model: open_placed(id, made.paths)[0] for id in ids}


def ask(model: ModelVersion, changes: dict[str, Any], rows: int = 7) -> np.ndarray:
    """Predictions for parcels of every depot and some distances, with ``changes`` made to each."""
    base = model.request.example() | {"created_at": datetime(2026, 5, 20, 9, 30, tzinfo=UTC)}
    grid = [
        base | {"depot": depot, "distance_km": 20.0 + 150 * n} | changes
        for depot in ("north", "south", "east", "west", "harbour", "airport")
        for n in range(rows)
    ]
    return model.answer_rows(grid).values


def test_who_sent_it_and_what_it_is_called_changes_nothing(models: dict[str, ModelVersion]) -> None:
    for model in models.values():
        assert np.array_equal(ask(model, dict(parcel_id="a")), ask(model, dict(parcel_id="b")))


def test_a_longer_way_is_not_predicted_to_be_much_faster(models: dict[str, ModelVersion]) -> None:
    near, far = (ask(models["hours"], dict(distance_km=km)) for km in (50.0, 600.0))
    assert (far > 0.9 * near).all()


def test_a_longer_way_with_the_promise_that_goes_with_it_takes_longer(models: dict[str, ModelVersion]) -> None:
    near, far = (ask(models["hours"], dict(distance_km=km, promised_hours=36 + km / 12)) for km in (50.0, 600.0))
    assert (far > near).all()


def test_express_with_its_promise_is_predicted_to_be_faster(models: dict[str, ModelVersion]) -> None:
    promises = {"express": 32.0, "standard": 48.0, "economy": 68.0}
    express, standard, economy = (
        ask(models["hours"], dict(service=service, promised_hours=hours)).mean() for service, hours in promises.items()
    )
    assert express < standard < economy


def test_a_gram_more_does_not_move_a_prediction_far(models: dict[str, ModelVersion]) -> None:
    here, there = (ask(models["hours"], dict(weight_g=grams)) for grams in (1_850.0, 1_851.0))
    assert np.abs(here - there).max() < 1.0


def test_a_promise_that_is_harder_to_keep_is_more_often_broken(models: dict[str, ModelVersion]) -> None:
    easy, hard = (ask(models["late"], dict(promised_hours=hours)) for hours in (96.0, 24.0))
    assert (hard > easy).mean() > 0.9


def test_predictions_stay_within_reason_for_everything_the_contract_allows(models: dict[str, ModelVersion]) -> None:
    extremes = [dict(weight_g=70_000.0), dict(distance_km=3_000.0), dict(customer_age_days=None), dict(depot="canal")]
    for changes in extremes:
        hours, late = ask(models["hours"], changes), ask(models["late"], changes)
        assert ((hours > 1) & (hours < 150)).all(), changes
        assert ((late >= 0) & (late <= 1)).all(), changes
