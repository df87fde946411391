"""Which unit was delivered? The conversion that would bring every bounded quantile back into its bounds."""

from __future__ import annotations

import polars as pl

from ..spec import Column

FACTORS = {
    1000.0: "a factor of 1000",
    100.0: "a factor of 100",
    60.0: "a factor of 60",
    24.0: "a factor of 24",
    3600.0: "a factor of 3600",
    2.2046: "pounds and kilograms",
    1.609344: "miles and kilometres",
}
UNITS = {
    ("g", 1000.0): "kilograms as grams",
    ("kg", 0.001): "grams as kilograms",
    ("km", 0.001): "metres as kilometres",
    ("h", 1 / 60): "minutes as hours",
    ("h", 24.0): "days as hours",
    ("d", 1 / 24): "hours as days",
}


def likely_unit(values: pl.Series, column: Column) -> str | None:
    """The conversion that would bring every bounded quantile back into its bounds, if there is one."""
    seen = {q: float(values.quantile(q, "linear") or 0.0) for q in column.typical}
    for factor, words in FACTORS.items():
        for scale in (factor, 1 / factor):
            inside = all(
                (low is None or seen[q] * scale >= low) and (high is None or seen[q] * scale <= high)
                for q, (low, high) in column.typical.items()
            )
            if inside:
                known = next(
                    (text for (unit, s), text in UNITS.items() if unit == column.unit and abs(s / scale - 1) < 1e-6),
                    None,
                )
                return f"{known or words}? {seen[min(seen, key=lambda q: abs(q - 0.5))]:g} × {scale:g} would fit"
    return None
