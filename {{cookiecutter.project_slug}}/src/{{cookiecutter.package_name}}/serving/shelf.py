"""The versions a server holds: fetched, proven, loaded, and swapped while requests go on."""

from __future__ import annotations

import gc
import json
import threading
from collections import OrderedDict
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from .. import files
from ..clock import now, stopwatch
from ..config import OperationsConfig
from ..errors import Exit, ProjectError
from ..log import log
from ..model import artefact
from ..model.id import VersionId
from ..model.version import ModelVersion
from ..paths import Paths
from . import worker
from .metrics import Metrics
from .outside import Outside
from .pointer import Pointer
from .traffic import Traffic

PATIENCE = 30.0
"""Seconds before a fetch that found the registry away is tried again: each try is a process that imports MLflow."""


class Shelf:
    """Thread-safe. ``champion`` is what ``/predict`` answers with, ``previous`` what it answered with before.

    ``canary`` and ``shadow`` are loaded as ``traffic`` names them, other versions when they are asked for.
    """

    def __init__(self, paths: Paths, operations: OperationsConfig, pinned: VersionId | None = None) -> None:
        self._paths = paths
        self._operations = operations
        self._pinned = pinned
        # asked every two seconds: the next question is the next try
        self._pointer = Pointer(paths, operations, attempts=1)
        self._fetching = Outside("the store of versions", seconds=worker.TIMEOUT, attempts=1, failures=2, rest=PATIENCE)
        self._loaded: OrderedDict[VersionId, ModelVersion] = OrderedDict()
        self._lock = threading.Lock()
        self._loading = threading.Lock()
        self._asking = threading.Lock()
        self._not_before = 0.0
        self.metrics = Metrics()
        self.champion: ModelVersion | None = None
        self.previous: ModelVersion | None = None
        self.canary: ModelVersion | None = None
        self.shadow: ModelVersion | None = None
        self.traffic = Traffic()
        self.since: datetime | None = None
        self.refused: dict[str, str] = {}
        self.short_cuts_refused: dict[str, str] = {}
        self.registry: str = "not asked yet"
        self.waiting_for: str = "the server is starting"

    def follow(self) -> bool:
        """Let the wanted versions serve. Returns whether the champion changed. Never raises: what serves stays."""
        changed = self._follow_champion()
        self._follow_traffic()
        return changed

    def _follow_traffic(self) -> None:
        if self._pinned is not None or self.registry != "answers":
            return  # what was said last holds on
        try:
            traffic = self._pointer.traffic(self._operations.model)
        except ProjectError as error:
            self.registry = error.message
            return
        if traffic.stopped != self.traffic.stopped:
            log.warning("scoring stopped" if traffic.stopped else "scoring goes on", extra={"reason": traffic.stopped})
        # at once: a stop does not wait until a canary is loaded
        self.traffic = replace(self.traffic, stopped=traffic.stopped)
        canary = self._beside("canary", self.canary, traffic.canary)
        shadow = self._beside("shadow", self.shadow, traffic.shadow)
        moved = (canary, shadow) != (self.canary, self.shadow)
        self.traffic, self.canary, self.shadow = traffic, canary, shadow
        if moved:
            self._tell()

    def _beside(self, role: str, now: ModelVersion | None, wanted: VersionId | None) -> ModelVersion | None:
        """The version that ``role`` wants, loaded; None where it wants none, one that cannot serve, or the champion."""
        if wanted is None or str(wanted) in self.refused:
            return None
        if self.champion is not None and self.champion.name == str(wanted):
            return None  # somebody moved the alias by hand: it answers already
        if now is not None and now.name == str(wanted):
            return now
        try:
            loaded = self.get(wanted)
        except ProjectError as error:
            log.error(f"{role} refused", extra={"model_version": str(wanted), "reason": error.message})
            return None
        log.info(role, extra={"model_version": loaded.name})
        return loaded

    def _tell(self) -> None:
        roles = {"champion": self.champion, "canary": self.canary, "shadow": self.shadow}
        self.metrics.serving({role: version.name for role, version in roles.items() if version is not None})

    def _follow_champion(self) -> bool:
        wanted = self._wanted()
        if wanted is None or str(wanted) in self.refused or stopwatch() < self._not_before:
            return False
        previous = self.champion.name if self.champion else None
        if previous == str(wanted):
            return False
        self.waiting_for = f"{wanted} is being fetched and its proof replayed"
        try:
            version = self.at_hand(wanted) or self._load(wanted)
        except ProjectError as error:
            log.error("version refused", extra={"model_version": str(wanted), "reason": error.message})
            self.waiting_for = f"{wanted} cannot serve: {error.message}"
            if error.exit is Exit.UNAVAILABLE:
                self._not_before = stopwatch() + PATIENCE
            else:
                self._refuse(wanted, error.message)
            return False
        self.previous, self.champion, self.since = self.champion, version, now()
        with self._lock:
            self._loaded.pop(wanted, None)
        self._tell()
        if self._pinned is None:
            files.write_json(self._champion_file, {"number": wanted.number, "run_id": version.facts["run_id"]})
        log.info("serving", extra={"model_version": version.name, "previous": previous})
        return True

    def _wanted(self) -> VersionId | None:
        """The pinned version, or the registry's champion; with the registry away, the last one it named."""
        if self._pinned is not None:
            return self._pinned
        remembered = self._remembered() if self.champion is None else None
        try:
            wanted = self._pointer.champion(self._operations.model)
            facts = self._pointer.facts(remembered[0]) if wanted is None and remembered is not None else None
        except ProjectError as error:
            self.registry = error.message
            return remembered[0] if remembered else None
        self.registry = "answers"
        if wanted is None and remembered is not None and (facts is None or facts.get("run_id") == remembered[1]):
            self.registry = f"names no champion; it was {remembered[0]} when this project last served"
            return remembered[0]
        if wanted is None:
            self.waiting_for = (
                f"no version of {self._operations.model} was promoted yet: "
                "uv run ml train --config configs/v1.yaml, then uv run ml promote 1"
            )
        return wanted

    def at_hand(self, version: VersionId) -> ModelVersion | None:
        """A version by its ID if it is in memory."""
        for found in (self.champion, self.canary, self.shadow, self.previous):
            if found is not None and found.name == str(version):
                return found
        with self._lock:
            if version in self._loaded:
                self._loaded.move_to_end(version)
                return self._loaded[version]
        return None

    def get(self, version: VersionId) -> ModelVersion:
        """A version by its ID, fetched and proven first if need be. Raises ProjectError."""
        with self._asking:  # the second who asks for a version waits for the first one's
            return self.at_hand(version) or self._get(version)

    def _refuse(self, version: VersionId, why: str) -> None:
        self.refused[str(version)] = why
        self.metrics.refused.inc()

    def _get(self, version: VersionId) -> ModelVersion:
        if str(version) in self.refused:
            raise ProjectError(self.refused[str(version)], exit=Exit.SAID_NO)
        if self._pointer.facts(version) is None:
            raise ProjectError(f"there is no version {version}", hint="ml versions", exit=Exit.USAGE)
        try:
            loaded = self._load(version)
        except ProjectError as error:
            if error.exit is Exit.SAID_NO:
                self._refuse(version, error.message)
            raise
        with self._lock:
            self._loaded[version] = loaded
            while len(self._loaded) > self._operations.serving.keep_versions:
                self._loaded.popitem(last=False)
        return loaded

    @property
    def loaded(self) -> list[str]:
        """IDs of everything in memory, the champion first."""
        with self._lock:
            others = list(self._loaded.values())
        known = [self.champion, self.canary, self.shadow, self.previous, *others]
        return list(dict.fromkeys(version.name for version in known if version is not None))

    def _load(self, version: VersionId) -> ModelVersion:
        with self._loading:
            place = self._paths.serving / version.folder
            try:
                facts = self._pointer.facts(version)
                if facts is None:
                    raise ProjectError(f"the registry does not know {version}", exit=Exit.UNAVAILABLE)
                if not artefact.is_placed(place, facts):
                    self._fetching.call(lambda _: worker.fetch(version, self._paths))
            except ProjectError as error:
                if error.exit is not Exit.UNAVAILABLE or not (place / artefact.FACTS).exists():
                    raise
                log.warning("using the copy on disk", extra={"model_version": str(version), "reason": error.message})
            _, fails = worker.proven(version, self._paths)
            if fails is not None:
                self.short_cuts_refused[str(version)] = fails
                log.warning("plain path", extra={"model_version": str(version), "reason": fails})
            loaded, verdict = worker.open_placed(version, self._paths, plain=fails is not None)
            # what is loaded stays: keeping the collector out of it took the p99 of a server like this from 87 to 11 ms.
            # Thawed first: a version that has left memory is made of classes, which only the collector can free
            gc.unfreeze()
            gc.collect()
            gc.freeze()
            log.info("loaded", extra={"model_version": str(version), "proof": str(verdict), "path": loaded.path})
            return loaded

    @property
    def _champion_file(self) -> Path:
        return self._paths.serving / self._operations.model / "champion.json"

    def _remembered(self) -> tuple[VersionId, str] | None:
        """The version that served last, and the run that made it: in another registry the same number is another."""
        try:
            said = json.loads(self._champion_file.read_text(encoding="utf-8"))
            return VersionId(self._operations.model, int(said["number"])), str(said["run_id"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
