"""Days that are nobody's normal: they are in no history, and page nobody by drift."""

from __future__ import annotations

from datetime import date

from ..config import HolidaysConfig
from ..errors import ProjectError
from ..typed_yaml import nearest


def masked(first: date, last: date, config: HolidaysConfig) -> dict[date, str]:
    """The days from ``first`` to ``last`` that are left out, and what they are called.

    Raises ProjectError (exit 2) for a country, or a part of it, that the calendar does not know.
    """
    found = {day: "left out by operations.yaml" for day in config.also if first <= day <= last}
    if config.country is None:
        if config.subdivision is not None:
            raise ProjectError(
                f"monitoring.holidays: subdivision {config.subdivision} of which country?", hint="country: DE"
            )
        return found
    import holidays  # here: most projects name no country

    known = holidays.list_supported_countries(include_aliases=True)
    if config.country not in known:
        raise ProjectError(
            f"monitoring.holidays: no country {config.country}{nearest(config.country, sorted(known))}",
            hint="two letters as in ISO 3166, like DE",
        )
    parts = known[config.country]
    if config.subdivision is not None and config.subdivision not in parts:
        raise ProjectError(
            f"monitoring.holidays: {config.country} has no subdivision {config.subdivision}",
            hint=f"one of {', '.join(parts)}" if parts else "leave it out",
        )
    years = range(first.year, last.year + 1)
    calendar = holidays.country_holidays(config.country, subdiv=config.subdivision, years=years, language="en_US")
    return {day: str(name) for day, name in sorted(calendar.items()) if first <= day <= last} | found
