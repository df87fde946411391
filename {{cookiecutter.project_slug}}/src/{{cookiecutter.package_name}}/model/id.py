"""The name of a version: a number for the project's own model, ``name/number`` for another."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import ProjectError


@dataclass(frozen=True, order=True)
class VersionId:
    """``model`` is the ``name`` of a config, ``number`` counts its versions from 1."""

    model: str
    number: int

    def __str__(self) -> str:
        return f"{self.model}/{self.number}"

    @property
    def folder(self) -> str:
        """Relative folder below ``var/serving``."""
        return f"{self.model}/{self.number}"


def parse(text: str, default_model: str) -> VersionId:
    """``7`` or ``late/7``. Raises ProjectError for anything else."""
    found = re.fullmatch(r"(?:(?P<model>[a-z][a-z0-9-]*)/)?(?P<number>[1-9][0-9]{0,8})", text.strip())
    if found is None:
        raise ProjectError(f"{text!r} is not a version ID: expected a number like 7, or late/7", hint="ml versions")
    return VersionId(found["model"] or default_model, int(found["number"]))
