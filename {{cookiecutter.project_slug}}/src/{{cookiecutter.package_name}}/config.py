"""Typed, strict configuration: ``configs/*.yaml`` (what the model is) and ``operations.yaml`` (how it is run)."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, ValidationError

from .errors import ProjectError
from .spec import Task
from .typed_yaml import Strict, load

NAME = "[a-z][a-z0-9-]{0,39}"
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)
Variable = Annotated[str, Field(pattern="^[A-Z][A-Z0-9_]{0,63}$")]
"""The name of an environment variable: what it holds is a secret, and stands in no file of the project."""


class DataConfig(Strict):
    """The window: ``train_days`` days, then ``evaluation_weeks`` whole weeks, all with complete labels."""

    train_days: Annotated[int, Field(ge=1, le=3650)]
    evaluation_weeks: Annotated[int, Field(ge=1, le=52)] = 1
    minimum_evaluation_rows: Annotated[int, Field(ge=1)] = 5000
    unlabelled_share: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Training refuses when a larger share of rows has no label though all labels are due."""


class FeatureConfig(Strict):
    """``columns`` enter as they are, ``derived`` are functions of ``transform/features.py``."""

    columns: Annotated[list[str], Field(min_length=1)]
    derived: list[str] = Field(default_factory=list)
    encode: Literal["ordinal", "onehot"] = "ordinal"
    impute: bool = False
    scale: bool = False


class EstimatorConfig(Strict):
    """``kind`` names an entry of ``KINDS`` in ``estimator.py``; ``params`` go to scikit-learn as they are."""

    kind: str
    params: dict[str, Any] = Field(default_factory=dict)


class GateConfig(Strict):
    """When a challenger may take the champion's place. Without this section a version is never gated: smoke models."""

    metric: Literal["mae", "mse", "log_loss", "accuracy", "auc"]
    tolerance: Annotated[float, Field(gt=0)]
    """The loss that may not happen, in the metric's unit: at least three times what another seed changes."""
    slice_tolerance: Annotated[float, Field(gt=0)] | None = None
    """The same for one slice; ``tolerance`` unless given."""
    minimum_skill: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """The share of the naive baseline's loss that must be gone, for certain."""
    leakage: Annotated[float, Field(gt=0.5, le=1)] = 0.98
    """R² (or AUC) from which a single feature, or a sum of them, is said to determine the target; 1 never says so."""
    size_ratio: Annotated[float, Field(gt=1)] = 1.25
    latency_ratio: Annotated[float, Field(gt=1)] = 1.2
    accept_lock: Annotated[str, Field(pattern="^[0-9a-f]{12}$")] | None = None
    """First 12 digits of the sha256 of one uv.lock, under which it is accepted that old versions predict otherwise."""


class ModelConfig(Strict):
    """One file of ``configs/``."""

    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    task: Task
    target: str
    baseline: str
    """The naive model: a column whose value is the prediction, or ``mean`` of the training target."""
    data: DataConfig
    features: FeatureConfig
    estimator: EstimatorConfig
    slices: list[str] = Field(default_factory=list)
    gate: GateConfig | None = None
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    proof_rows: Annotated[int, Field(ge=20, le=2000)] = 200
    seed: Annotated[int, Field(ge=0, lt=2**32)]


class Owner(Strict):
    team: str
    email: str


class SourceConfig(Strict):
    """``path`` is where upstream drops one file a day and table; ``sample`` lets the sample play the upstream team."""

    path: str
    sample: bool = False


class StorageConfig(Strict):
    """Folders of this machine, or buckets: ``s3://bucket/prefix``. Keys of a bucket come from the environment."""

    data: Annotated[str, Field(min_length=1)] = "data"
    """Partitions, predictions, quarantine and datasets."""
    ledger: Annotated[str, Field(min_length=1)] = "var/ledger"
    """What each run did."""


def _time_of_day(value: Any) -> Any:
    if not isinstance(value, str) or re.fullmatch("([01][0-9]|2[0-3]):[0-5][0-9]", value) is None:
        raise ValueError('expected hours and minutes in quotes, like "09:00" (YAML reads 10:00 as 600)')
    return value


class DailyConfig(Strict):
    """`ml run`. A day's data are due when it is over, and missing from ``deadline`` (UTC) of the next day on."""

    deadline: Annotated[str, BeforeValidator(_time_of_day)] = "09:00"
    retry_minutes: Annotated[float, Field(gt=0, le=720)] = 5
    """`ml run --wait` asks again after so many minutes, then twice as many, up to an hour."""


class AlertsConfig(Strict):
    """Who is told what `ml run` has to say. Each variable that is named here holds one apprise address."""

    page: list[Variable] = Field(default_factory=list)
    """Where pages go, at once."""
    digest_to: list[Variable] = Field(default_factory=list)
    """Where the week's tickets go, with the first run from ``digest`` on (UTC)."""
    digest: Weekday = "monday"
    cooldown_days: Annotated[int, Field(ge=0, le=30)] = 7
    """So many days the same code and monitor page once while what is wrong lasts; 0 pages each day."""
    ping: Variable | None = None
    """Holds the address of a dead-man's switch."""


class RetrainingConfig(Strict):
    """What `ml run` trains by itself, and who promotes it."""

    when: Literal["never", "weekly", "on_drift"] = "never"
    weekday: Weekday = "monday"
    config: str = "configs/v1.yaml"
    promotion: Literal["automatic", "by_person"] = "by_person"


class HolidaysConfig(Strict):
    """Days that are nobody's normal: public holidays of a country, and days of your own."""

    country: Annotated[str, Field(pattern="^[A-Z]{2}$")] | None = None
    """Two letters, as in ISO 3166: DE."""
    subdivision: str | None = None
    """A part of the country with holidays of its own: BY."""
    also: list[date] = Field(default_factory=list)
    """Days to leave out besides: a strike, a day that was broken."""


class MonitoringConfig(Strict):
    """What `ml calibrate` and `ml monitor` go by."""

    budget: Annotated[float, Field(gt=0, le=52)] = 1.0
    """False pages a year that are allowed; above that the pager is not armed."""
    holidays: HolidaysConfig = HolidaysConfig()
    leave_out: list[str] = Field(default_factory=list)
    """Columns that are not watched."""


class PredictionLogConfig(Strict):
    """What is kept of each prediction, in ``requests/`` of the data."""

    enabled: bool = True
    sample: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of requests that are kept; which ones follows from the request's ID."""
    redact: list[str] = Field(default_factory=list)
    """Columns whose values are never written: personal data."""


class CanaryConfig(Strict):
    """What `ml canary VERSION` does unless its options say otherwise."""

    share: Annotated[float, Field(gt=0, le=100)] = 10
    """Percent of the requests that the new version answers."""


class ServingConfig(Strict):
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    follow_seconds: Annotated[float, Field(gt=0, le=3600)] = 2.0
    max_rows: Annotated[int, Field(ge=1)] = 1000
    max_body_kb: Annotated[int, Field(ge=1)] = 1024
    keep_versions: Annotated[int, Field(ge=1, le=100)] = 4
    """Versions held in memory besides the champion; the least recently used leaves first."""
    batch_wait_ms: Annotated[float, Field(ge=0, le=100)] = 1.0
    """How long a request waits at most for others that are arriving, to be answered with them; alone it never waits."""
    max_waiting: Annotated[int, Field(ge=1)] = 512
    """Requests in the server at once; the next is answered 503 with Retry-After."""
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 5.0
    """From a request's first byte to its answer."""
    requests_per_minute: Annotated[int, Field(ge=1)] | None = None
    """Of one API key, or of one address where there are none; unlimited unless given."""
    docs: bool = True
    """The page at ``/`` and the API's description."""
    on_failure: Literal["refuse", "last_good", "baseline"] = "refuse"
    """When the champion gives no prediction: 503, the champion before, or the naive model; the answer says which."""
    log: PredictionLogConfig = PredictionLogConfig()
    canary: CanaryConfig = CanaryConfig()


class OperationsConfig(Strict):
    """``operations.yaml``."""

    project: str
    owner: Owner
    model: str
    """The model that ``ml serve`` follows and that a bare version number means."""
    source: SourceConfig
    storage: StorageConfig = StorageConfig()
    daily: DailyConfig = DailyConfig()
    alerts: AlertsConfig = AlertsConfig()
    retraining: RetrainingConfig = RetrainingConfig()
    monitoring: MonitoringConfig = MonitoringConfig()
    serving: ServingConfig = ServingConfig()

    def registered(self, name: str) -> str:
        """The name in the registry: the project's first, so that many projects can share one server."""
        if re.fullmatch(NAME, name) is None:
            raise ProjectError(f"{name!r} is no name of a model: expected one like hours", hint="see name: in configs/")
        return f"{self.project}-{name}"


def load_model(path: Path) -> ModelConfig:
    return load(path, ModelConfig)


def load_operations(path: Path) -> OperationsConfig:
    return load(path, OperationsConfig)


def recorded(values: Any, whose: str) -> ModelConfig:
    """The config that ``whose`` was trained with, as its facts hold it. Raises ProjectError when this code differs."""
    try:
        return ModelConfig.model_validate(values)
    except ValidationError as error:
        raise ProjectError(
            f"the config that {whose} was trained with is none of this code's: {error.error_count()} problems",
            hint="train it again with this code",
        ) from None
