"""The sample plays the upstream team: parcel deliveries, the same for the same day and seed, on every machine.

What a model can learn: distance, service level, weekends, evening hand-ins, depots, fragile handling. What it cannot:
log-normal noise of 22% on every parcel and one in forty that is simply mislaid. docs/your-data.md says
what else goes when this file is deleted.
"""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl

from .files import write_bytes

SEED = 20260101
START = date(2026, 1, 1)
ROWS_A_DAY = 2_000
WEEK = np.array([1.12, 1.05, 1.03, 1.04, 1.10, 0.86, 0.70])
"""Parcels on Monday to Sunday, relative to the mean."""
DEPOTS = ["north", "south", "east", "west", "harbour", "airport"]
DEPOT_SHARE = [0.24, 0.21, 0.18, 0.17, 0.12, 0.08]
DEPOT_DELAY = np.array([0.0, 2.0, -1.0, 4.0, 7.0, -4.0])
SERVICES = ["express", "standard", "economy"]
SERVICE_HOURS = np.array([9.0, 24.0, 44.0])


@lru_cache(maxsize=16)
def _parcels(day: date) -> pl.DataFrame:
    """All of a day's parcels with the hours that each will take: upstream's own knowledge, labels included."""
    rng = np.random.default_rng([SEED, day.toordinal()])
    age = (day - START).days
    trend = max(0.2, 1 + 0.0004 * age)
    n = int(rng.poisson(ROWS_A_DAY * trend * WEEK[day.weekday()]))
    second = np.sort(np.clip(rng.normal(14.5, 3.6, n), 0, 23.99) * 3_600).astype(np.int64)
    depot = rng.choice(len(DEPOTS), n, p=DEPOT_SHARE)
    service = rng.choice(len(SERVICES), n, p=[0.2, 0.55, 0.25])
    weight = np.round(np.clip(rng.lognormal(7.3, 1.0, n), 20, 31_500))
    distance = np.round(np.clip(rng.gamma(1.6, 110, n), 1, 1_400), 1)
    customer = np.round(rng.gamma(1.2, 500, n))
    walk_in = rng.random(n) < 0.08
    fragile = rng.random(n) < 0.15

    promised = np.round((SERVICE_HOURS[service] + distance / 12) / 4) * 4 + 12
    hour = second / 3_600
    hours = (
        SERVICE_HOURS[service] * 0.85
        + 1.35 * np.sqrt(distance)
        + DEPOT_DELAY[depot]
        + 10 * ((day.weekday() == 4) & (hour > 15))
        + 14 * (day.weekday() == 5)
        + 9 * (day.weekday() == 6)
        + 3.5 * (hour > 18)
        + 2.5 * fragile
        + 1.8 * (weight > 10_000)
        + 2.0 * walk_in
        + 0.01 * age
    )
    hours = np.maximum(hours, 3) * rng.lognormal(0, 0.22, n)
    mislaid = rng.random(n) < 0.025
    hours = np.where(mislaid, hours + rng.uniform(15, 45, n), hours)
    # after 119.5 hours a parcel is fetched by hand: labels are complete within five days
    hours = np.where(hours > 119.5, rng.uniform(96, 119.5, n), hours)
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    created = [midnight + timedelta(seconds=int(s)) for s in second]
    return pl.DataFrame(
        {
            "parcel_id": [f"{day:%Y%m%d}-{i:05d}" for i in range(n)],
            "created_at": pl.Series(created, dtype=pl.Datetime("us", "UTC")),
            "depot": [DEPOTS[i] for i in depot],
            "service": [SERVICES[i] for i in service],
            "weight_g": weight,
            "distance_km": distance,
            "customer_age_days": pl.Series(customer).set(pl.Series(walk_in), None),
            "fragile": fragile,
            "promised_hours": promised,
            "delivered_hours": np.round(np.maximum(hours, 1), 2),
        }
    )


def table(name: str, day: date) -> pl.DataFrame:
    """What upstream delivers for ``day``: the parcels handed in, or the deliveries made, on it."""
    if name == "parcels":
        return _parcels(day).drop("delivered_hours")
    handed_in = pl.concat(_parcels(day - timedelta(days=back)) for back in range(5, -1, -1))
    arrived = handed_in.select(
        "parcel_id",
        delivered_at=pl.col("created_at") + pl.duration(seconds=(pl.col("delivered_hours") * 3_600).round()),
        delivered_hours="delivered_hours",
    )
    return arrived.filter(pl.col("delivered_at").dt.date() == day).sort("delivered_at", "parcel_id")


def deliver(name: str, day: date, path: Path) -> None:
    """Drop the file of ``day`` where upstream would."""
    buffer = io.BytesIO()
    table(name, day).write_parquet(buffer)
    write_bytes(path, buffer.getvalue())
