"""The features and the model, written the way a pandas project writes them: what ours is compared with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

NUMBERS = ["weight_g", "distance_km", "customer_age_days", "fragile", "promised_hours"]
DERIVED = ["hour_of_day", "weekday", "is_weekend", "promised_speed_kmh", "root_distance", "is_new_customer"]
CATEGORIES = ["depot", "service"]
COLUMNS = ["created_at", *CATEGORIES, *NUMBERS]


def with_features(frame: pd.DataFrame) -> pd.DataFrame:
    when = frame["created_at"].dt
    return frame.assign(
        hour_of_day=(when.hour * 3_600 + when.minute * 60 + when.second + when.microsecond / 1e6) / 3_600,
        weekday=when.day_of_week,
        is_weekend=when.day_of_week >= 5,
        promised_speed_kmh=frame["distance_km"] / frame["promised_hours"],
        root_distance=np.sqrt(frame["distance_km"]),
        is_new_customer=frame["customer_age_days"].isna() | (frame["customer_age_days"] < 30),
    )


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows out of JSON with the types of training: one row with a null has no type of its own."""
    return frame.assign(created_at=pd.to_datetime(frame["created_at"])).astype(
        {"customer_age_days": "float64"}
    )


def columns(linear: bool) -> ColumnTransformer:
    """Numbers as they are, or scaled and imputed for a linear model; categories as numbers, or one-hot."""
    numbers: Any = Pipeline([("scale", StandardScaler()), ("impute", SimpleImputer(strategy="median"))])
    categories: Any = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    if not linear:
        numbers = "passthrough"
        categories = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    return ColumnTransformer(
        [("numbers", numbers, NUMBERS + DERIVED), ("categories", categories, CATEGORIES)]
    )


def pipeline(estimator: Any, linear: bool = False) -> Pipeline:
    """Pandas features, a ColumnTransformer, and ``estimator`` as it is."""
    steps = [
        ("features", FunctionTransformer(with_features)),
        ("columns", columns(linear)),
        ("model", estimator),
    ]
    return Pipeline(steps)
