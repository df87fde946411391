"""A version that was placed on disk, loaded and proven: what a server does with it, and what the worker tries first."""

from __future__ import annotations

import json

from ..errors import Exit, ProjectError
from ..model import artefact
from ..model.id import VersionId
from ..model.proof import Proof, Verdict, replay
from ..model.version import ModelVersion
from ..paths import Paths


def open_placed(version: VersionId, paths: Paths) -> tuple[ModelVersion, Verdict]:
    """Load a version that lies below ``var/serving`` and replay its proof in this process. Raises ProjectError."""
    place = paths.serving / version.folder
    try:
        facts = json.loads((place / artefact.FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ProjectError(f"version {version} is not on disk: {error}", exit=Exit.UNAVAILABLE) from error
    loaded = artefact.load(place / artefact.FOLDER, facts)
    verdict = replay(loaded, Proof.read(place / artefact.FOLDER / artefact.PROOF))
    if not verdict.holds:
        raise ProjectError(
            f"version {version} refused: {verdict}",
            hint="this path does not compute what training computed: compare libraries with its requirements.txt",
            exit=Exit.SAID_NO,
        )
    return loaded, verdict
