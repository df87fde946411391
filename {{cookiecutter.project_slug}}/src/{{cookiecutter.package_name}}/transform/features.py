"""YOURS: derived features, pure functions of a column batch.

A column batch maps a column's name to a one-dimensional numpy array: numbers, integers and flags as float64 with NaN
for null, times as float64 seconds since 1970-01-01 UTC, categories as object arrays of str with None for null. The same
function sees millions of rows in training and one row in the API, and returns one float64 array of the same length.

Conventions: weekday 0 is Monday, hours are UTC. Add, subtract, multiply, divide, floor and square root give the same
bits on every CPU; log, exp and sin may differ in the last one between kinds of CPU, and the proof that travels with a
version compares features bit by bit. Prefer the former, or serve on the kind of CPU you train on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

ColumnBatch = Mapping[str, np.ndarray]

SECONDS_A_DAY = 86_400


def hour_of_day(c: ColumnBatch) -> np.ndarray:
    """Hours since midnight UTC, with fraction."""
    return np.mod(c["created_at"], SECONDS_A_DAY) / 3_600


def weekday(c: ColumnBatch) -> np.ndarray:
    """0 Monday to 6 Sunday, UTC. 1970-01-01 was a Thursday, hence the 3."""
    return np.mod(np.floor(c["created_at"] / SECONDS_A_DAY) + 3, 7)


def is_weekend(c: ColumnBatch) -> np.ndarray:
    """1 on Saturday and Sunday, when depots hand little on."""
    return (weekday(c) >= 5).astype(np.float64)


def promised_speed_kmh(c: ColumnBatch) -> np.ndarray:
    """Speed that the promise asks for, km/h."""
    return c["distance_km"] / c["promised_hours"]


def root_distance(c: ColumnBatch) -> np.ndarray:
    """Square root of the distance: long hauls run on motorways and take less time a kilometre."""
    return np.sqrt(c["distance_km"])


def is_new_customer(c: ColumnBatch) -> np.ndarray:
    """1 for walk-in senders and for those in their first month: more wrong addresses."""
    age = c["customer_age_days"]
    return (np.isnan(age) | (age < 30)).astype(np.float64)


FEATURES: dict[str, Callable[[ColumnBatch], np.ndarray]] = {
    function.__name__: function
    for function in (hour_of_day, weekday, is_weekend, promised_speed_kmh, root_distance, is_new_customer)
}
