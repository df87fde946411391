"""The request of the peers that parse their own: the contract's fields and bounds, written by hand."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from pandas_pipeline import typed


class Row(BaseModel):
    model_config = ConfigDict(extra="forbid")

    parcel_id: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    created_at: datetime
    depot: Annotated[str, Field(min_length=1, max_length=40)]
    service: Literal["express", "standard", "economy"]
    weight_g: Annotated[float, Field(ge=1, le=70_000)]
    distance_km: Annotated[float, Field(ge=0.1, le=3_000)]
    customer_age_days: Annotated[float, Field(ge=0, le=20_000)] | None = None
    fragile: bool
    promised_hours: Annotated[float, Field(ge=1, le=240)]


def frame(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    return typed(pd.DataFrame(rows))


def load() -> Any:
    """The fitted pipeline of pandas features, ColumnTransformer and estimator."""
    return pickle.loads(Path(os.environ["BENCH_PIPELINE"]).read_bytes())  # noqa: S301 - the bench wrote it
