"""A monitor's report of a day on which something happened: what the page, the server and Prometheus are shown."""

from __future__ import annotations

import math
from datetime import date, timedelta
from random import Random
from typing import Any

from {{cookiecutter.package_name}}.monitoring.report import (
    Finding,
    Outcome,
    Report,
    Series,
    Shape,
)

DAY = date(2026, 6, 2)
DAYS = 56
GAP = range(20, 23)
"""Days that were never delivered."""


def series(
    random: Random, level: float, noise: float, *, season: float = 0.0, last: list[float] | None = None
) -> Series:
    """Days with a weekly season around ``level``, their band, and ``last`` instead of the last of them."""
    days = [DAY - timedelta(days=back) for back in reversed(range(DAYS))]
    expected = [level + season * math.cos(day.weekday() * math.tau / 7) for day in days]
    values: list[float | None] = [middle + random.gauss(0, noise) for middle in expected]
    if last:
        values[-len(last) :] = last
    for number in GAP:
        values[number] = None
    known = range(DAYS)
    low = [expected[n] - 3.2 * noise if n >= 7 else None for n in known]
    high = [expected[n] + 3.2 * noise if n >= 7 else None for n in known]
    return Series(days=days, values=values, low=low, high=high)


def finding(
    monitor: str, code: str, measure: str, drawn: Series | None, outcome: Outcome = "ok", **more: Any
) -> Finding:
    table, _, rest = monitor.partition(".")
    told: dict[str, Any] = {"table": table, "column": rest.partition(".")[0] if rest.count(".") else None}
    if drawn is not None:
        told |= {"observed": drawn.values[-1], "low": drawn.low[-1], "high": drawn.high[-1], "series": drawn}
        told["said"] = f"{drawn.values[-1]:.3g}, expected {drawn.low[-1]:.3g} to {drawn.high[-1]:.3g}"
    told |= {"monitor": monitor, "code": code, "measure": measure, "outcome": outcome} | more
    return Finding(**told)


def report(*, moved: bool = True, **more: Any) -> Report:
    """Weights came in kilograms, two depots changed places, a column went missing; everything else is as ever.

    Unless ``moved``, they did not.
    """
    random = Random(7)

    def plain(level: float, noise: float, *, last: list[float] | None = None, **kind: Any) -> Series:
        return series(random, level, noise, last=last if moved else None, **kind)

    sigma: dict[str, Any] = {"unit": "σ"}
    percent: dict[str, Any] = {"unit": "%"}
    found = [
        finding("parcels.rows", "FRESH003", "rows", plain(2010, 38, season=160), unit="rows", table="parcels"),
        finding(
            "parcels.weight_g.mean", "DRIFT001", "mean", plain(0.02, 0.035, season=0.06, last=[-2.71]), "page", **sigma,
            z=-71.4, since=DAY,
            said="median 1.9 g on 2026-06-02, expected 1,640 to 2,110 g on a Tuesday: 2.7 σ lower than ever",
        ),
        finding("parcels.weight_g.spread", "DRIFT002", "spread", plain(1.0, 0.02, last=[0.41]), "ticket", **sigma,
                z=-28.0, since=DAY, said="a spread of 0.41 σ, expected 0.94 to 1.06 σ"),
        finding("parcels.weight_g.nulls", "DRIFT003", "nulls", plain(2.1, 0.3), **percent),
        finding("parcels.distance_km.mean", "DRIFT001", "mean", plain(-0.01, 0.03, season=0.04), **sigma),
        finding("parcels.distance_km.spread", "DRIFT002", "spread", plain(1.02, 0.018), **sigma),
        finding("parcels.customer_age_days.mean", "MON001", "mean", None, "not applicable",
                said="no value on this day: nothing to judge"),
        finding("parcels.customer_age_days.nulls", "DRIFT003", "nulls", plain(6.0, 0.7, last=[100.0]), "page",
                **percent, z=83.0, since=DAY,
                said="100% of 2,013 rows have no customer_age_days, expected 3.8% to 8.2%"),
    ]  # fmt: skip
    shares = {"north": 31.0, "south": 24.0, "east": 19.0, "west": 17.0, "harbour": 9.0}
    changed = {"north": [36.5, 38.2, 41.0], "south": [19.5, 17.0, 14.2]}
    for depot, share in shares.items():
        away = depot in changed
        found.append(
            finding(
                f"parcels.depot.share={depot}", "DRIFT004", f"share of {depot}",
                plain(share, 0.9, season=1.2, last=changed.get(depot)), "ticket" if away else "ok", **percent,
                **({"z": 6.3, "since": DAY - timedelta(days=2)} if away else {}),
            )
        )  # fmt: skip
    for service, share in {"express": 22.0, "standard": 58.0, "economy": 20.0}.items():
        drawn = plain(share, 0.8, season=1.0)
        found.append(finding(f"parcels.service.share={service}", "DRIFT004", f"share of {service}", drawn, **percent))
    for hours, share in {"00 to 06": 4.0, "06 to 12": 41.0, "12 to 18": 39.0, "18 to 24": 16.0}.items():
        drawn = plain(share, 0.7, season=0.8)
        found.append(finding(f"parcels.created_at.share={hours}", "DRIFT004", hours, drawn, **percent))
    found += [
        finding("parcels.fragile.share", "DRIFT005", "share", plain(8.1, 0.6), **percent),
        finding("hours.prediction.mean", "DRIFT006", "mean", plain(0.0, 0.03, season=0.05, last=[-0.62]), "ticket",
                **sigma, z=-18.1, since=DAY, model_version="hours/3",
                said="predictions of hours/3: median 31 h, expected 38 to 42 h on a Tuesday"),
        finding("hours.prediction.spread", "DRIFT006", "spread", plain(1.0, 0.02), **sigma, model_version="hours/3"),
        finding("hours.mae", "PERF001", "mae", plain(7.2, 0.21, season=0.3), unit="h", model_version="hours/3"),
        finding("hours.mae[depot=north]", "PERF002", "mae", plain(7.6, 0.4), unit="h", slice="depot=north",
                model_version="hours/3"),
    ]  # fmt: skip
    weights = ["below 0.5", "0.5 to 1", "1 to 2", "2 to 4", "4 to 8", "8 to 16", "16 to 32", "above 32"]
    shapes = [
        Shape(
            column="weight_g", unit="kg", bins=weights,
            today=[0.998, 0.002, 0, 0, 0, 0, 0, 0],
            reference=[0.08, 0.16, 0.27, 0.24, 0.14, 0.07, 0.03, 0.01],
        ),
        Shape(column="depot", bins=list(shares), today=[0.41, 0.142, 0.192, 0.166, 0.09],
              reference=[share / 100 for share in shares.values()]),
    ]  # fmt: skip
    if not moved:
        still = {"outcome": "ok", "since": None, "z": 0.3, "said": "as ever"}
        found, shapes = [one.model_copy(update=still) for one in found if one.observed is not None], []
    told: dict[str, Any] = {
        "day": DAY,
        "state": "armed",
        "calibrated": DAY - timedelta(days=12),
        "model_version": "hours/3",
        "findings": found,
        "shapes": shapes,
    }
    return Report(**(told | more))
