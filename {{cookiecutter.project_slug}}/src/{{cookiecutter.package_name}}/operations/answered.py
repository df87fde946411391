"""What champion and canary answered, from the prediction log, and what turned out to be true."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from ..clock import days
from ..contract import CONTRACT
from ..data.matured import TRUTH, matured
from ..data.requests import requests
from ..data.store import Store
from ..model.id import VersionId
from .realised import MATURE, lacking

OWN = "own"
"""Column with the day that a row belongs to: that of its partition, where its label is looked for."""
THEIRS = "theirs"
"""Column with the champion's prediction for a row that a shadow predicted too."""
KEPT: dict[str, Any] = {
    "request_id": pl.String,
    "row": pl.UInt32,
    "at": pl.Datetime("us", "UTC"),
    "role": pl.String,
    "degraded": pl.String,
    "latency_ms": pl.Float64,
    "prediction": pl.Float64,
}


def answered(
    champion: VersionId, other: VersionId, role: str, since: datetime, now: datetime, store: Store
) -> pl.DataFrame:
    """Every row that the two answered since then, in order of time: ``KEPT``, the contract's keys, and ``OWN``."""
    keys, time = CONTRACT.rows.schema.primary_key(), CONTRACT.rows.time
    stand_in = pl.col("degraded").is_not_null()
    whose = pl.col("role").eq("champion") & (pl.col("model_version").eq(str(champion)) | stand_in)
    whose |= pl.col("role").eq(role) & pl.col("model_version").eq(str(other))
    types: Any = KEPT | {name: CONTRACT.rows.schema.columns()[name].dtype for name in keys}
    parts = [pl.DataFrame(schema=types | {OWN: pl.Date})]
    for day in days(since.date(), now.date()):
        frame = requests(champion.model, day, store)
        if frame is None:
            continue
        lacking = [pl.lit(None).alias(name) for name in (*keys, time) if name and name not in frame.columns]
        mine = frame.with_columns(lacking).filter(pl.col("at") >= since, whose)
        own = pl.col("at").dt.date()
        if time:
            own = pl.coalesce(pl.col(time).cast(KEPT["at"], strict=False).dt.date(), own)
        parts.append(mine.select(own.alias(OWN), *types).cast(types, strict=False).select(*types, OWN))
    return pl.concat(parts).sort("at", maintain_order=True)


def pairs(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows that the champion answered and a shadow predicted too, with the champion's prediction in ``THEIRS``.

    They meet by request, row and key: a caller who gives every request the same ID mixes no parcel with another.
    """
    by = ["request_id", "row", *CONTRACT.rows.schema.primary_key()]
    theirs, ours = (
        frame.filter(pl.col("role") == role).unique(by, keep="first", maintain_order=True)
        for role in ("champion", "shadow")
    )
    theirs = theirs.select(*by, pl.col("prediction").alias(THEIRS))
    return ours.join(theirs, on=by, how="inner", nulls_equal=True, maintain_order="left")


@dataclass(frozen=True)
class Labelled:
    """Rows whose label is in, with it in ``truth``; how many wait or will never have one, and for what they wait."""

    frame: pl.DataFrame
    waiting: int = 0
    unknown: int = 0
    nameless: int = 0
    first: date | None = None
    """The first day that waits."""
    why: str = ""


def labelled(frame: pl.DataFrame, target: str, store: Store) -> Labelled:
    """The rows of ``frame`` with their label, of one key and role the first: who asks twice is no second parcel.

    Only days whose labels are complete take part. The labels that come first are those of the quick, and a model that
    is good with those would win. A row without its key, or one that upstream never delivered, has no label.
    """
    keys = CONTRACT.rows.schema.primary_key()
    named = frame.drop_nulls(keys).unique([*keys, "role"], keep="first", maintain_order=True)
    nameless = frame.height - frame.drop_nulls(keys).height
    ingested = set(store.days(CONTRACT.rows.name))
    parts, waiting, first, why = [], 0, None, ""
    for day in named[OWN].unique().sort():
        rows = named.filter(pl.col(OWN) == day)
        reason, truth = _truth(day, target, store, ingested)
        if truth is None:
            waiting += rows.height
            first, why = first or day, why or reason
            continue
        parts.append(rows.join(truth, on=keys, how="left", maintain_order="left"))
    found = pl.concat(parts) if parts else named.clear().with_columns(pl.lit(None).alias(TRUTH))
    known = found.drop_nulls(TRUTH)
    return Labelled(known, waiting, found.height - known.height, nameless, first, why)


def _truth(day: date, target: str, store: Store, ingested: set[date]) -> tuple[str, pl.DataFrame | None]:
    """Keys and truth of the rows of ``day``; or why there is none yet."""
    if day not in ingested:
        return f"{CONTRACT.rows.name} of {day} were not ingested yet", None
    if missing := lacking(day, store):
        last = day + timedelta(days=CONTRACT.labels_complete_after)
        return f"labels of {day} are complete when those that come until {last} are ingested, {len(missing)} lack", None
    truth = matured(CONTRACT, day, target, store, also=CONTRACT.rows.schema.primary_key())
    if truth.drop_nulls(TRUTH).height < MATURE * truth.height:
        return f"{truth[TRUTH].null_count() / truth.height:.0%} of the rows of {day} have no label", None
    return "", truth
