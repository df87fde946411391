"""Short-lived processes that handle a version before the server touches it.

``fetch`` imports MLflow and places a version on disk; ``verify`` loads it as a server would and replays its proof. Each
prints one line of JSON. Whatever a bad artefact does, it does to such a process first.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import version as library_version
from pathlib import Path
from typing import Any

from .. import files
from ..errors import Exit, ProjectError, lacking
from ..model import artefact
from ..model.fuzz import disagreement
from ..model.id import VersionId, parse
from ..model.proof import Proof, Verdict, replay
from ..model.version import ModelVersion
from ..paths import Paths

PROVEN = "proven.json"
"""Beside a placed version: the verdict of its proof, and what it holds for."""
TIMEOUT = 300
"""Seconds; MLflow's import takes 4 on an idle machine, a remote artefact more."""
PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
"""Seconds for each of MLflow's three tries, unless the variable is set; its own 120 would outlast TIMEOUT."""


def fetch(version: VersionId, paths: Paths) -> None:
    """Place ``version`` below ``var/serving``, in a process of its own. Raises what went wrong there."""
    _run(["fetch", str(version)], paths)


def verify(version: VersionId, paths: Paths) -> str:
    """Replay the proof of a placed version in a process of its own. Returns the verdict's words; raises if it fails."""
    return prove(version, paths)[0]


def prove(version: VersionId, paths: Paths) -> tuple[str, str | None]:
    """Like :func:`verify`, and whether the version's short cut may serve: None, or where it fails the proof's rule."""
    said = _run(["verify", str(version)], paths)
    verdict = str(said["said"]), said["short_cut_fails"]
    with suppress(OSError):  # in an image nothing can be written, and it is asked once more at the next start
        place = paths.serving / version.folder / PROVEN
        files.write_json(place, {"under": _surroundings(version, paths), "verdict": verdict})
    return verdict


def proven(version: VersionId, paths: Paths) -> tuple[str, str | None]:
    """What :func:`prove` found on this machine, under these libraries; it is asked where nobody has yet.

    A promotion has just asked. Importing scikit-learn in another process once more is most of what a server needs
    until it follows, and it replays the proof in its own process in any case.
    """
    return _kept(version, paths) or prove(version, paths)


def short_cut_holds(version: VersionId, paths: Paths) -> bool:
    """Whether a promotion or a server has found so on this machine, under these libraries. Asks nobody."""
    kept = _kept(version, paths)
    return kept is not None and kept[1] is None


def _kept(version: VersionId, paths: Paths) -> tuple[str, str | None] | None:
    try:
        said = json.loads((paths.serving / version.folder / PROVEN).read_text(encoding="utf-8"))
        if said["under"] == _surroundings(version, paths):
            verdict, fails = said["verdict"]
            return str(verdict), fails
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _surroundings(version: VersionId, paths: Paths) -> dict[str, str]:
    """What a verdict holds for: these bytes, this machine, these libraries, and our code that computes."""
    libraries = {name: library_version(name) for name in ("numpy", "scipy", "scikit-learn", "pydantic", "msgspec")}
    facts = files.sha256(paths.serving / version.folder / artefact.FACTS)
    return libraries | {
        "facts": facts,
        "code": " ".join(files.sha256(path)[:12] for path in sorted(Path(artefact.__file__).parent.glob("*.py"))),
        "python": sys.version,
        "machine": platform.node(),
        "platform": platform.platform(),
    }


def _run(arguments: list[str], paths: Paths) -> dict[str, Any]:
    command = [sys.executable, "-m", f"{__package__}.worker", *arguments]
    try:
        done = subprocess.run(
            command,
            cwd=paths.root,
            env=PATIENCE | os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ProjectError(
            f"{arguments[0]} {arguments[1]} took longer than {TIMEOUT} s", exit=Exit.UNAVAILABLE
        ) from error
    try:
        said = json.loads(done.stdout.splitlines()[-1])
    except (json.JSONDecodeError, IndexError):
        lines = (done.stderr or done.stdout).strip().splitlines() or [f"it ended with code {done.returncode}"]
        # no verdict: killed, out of memory, a crash. It condemns nothing, and is tried again
        raise ProjectError(f"{arguments[0]} {arguments[1]} failed: {lines[-1]}", exit=Exit.UNAVAILABLE) from None
    if "error" in said:
        raise ProjectError(said["error"], hint=said["hint"], exit=Exit(said["exit"]))
    return said


def _fetch(version: VersionId, paths: Paths) -> dict[str, Any]:
    from ..training.registry import Registry

    return {"place": str(Registry(paths).fetch(version))}


def open_placed(
    version: VersionId, paths: Paths, *, one_by_one: bool = True, plain: bool = False
) -> tuple[ModelVersion, Verdict]:
    """Load a version that lies below ``var/serving`` and replay its proof in this process. Raises ProjectError.

    ``one_by_one``: as in :func:`replay`. ``plain``: by the estimator's own method, without a short cut.
    """
    place = paths.serving / version.folder
    try:
        facts = json.loads((place / artefact.FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ProjectError(f"version {version} is not on disk: {error}", exit=Exit.UNAVAILABLE) from error
    loaded = artefact.load(place / artefact.FOLDER, facts)
    if plain:
        loaded.without_short_cut()
    proof = Proof.read(place / artefact.FOLDER / artefact.PROOF)
    loaded.deciles = proof.deciles
    verdict = replay(loaded, proof, one_by_one=one_by_one)
    if not verdict.holds:
        raise ProjectError(
            f"version {version} refused: {verdict}",
            hint="this path does not compute what training computed: compare libraries with its requirements.txt",
            exit=Exit.SAID_NO,
        )
    return loaded, verdict


def _verify(version: VersionId, paths: Paths) -> dict[str, Any]:
    loaded, verdict = open_placed(version, paths)
    proof = Proof.read(paths.serving / version.folder / artefact.FOLDER / artefact.PROOF)
    return {"said": str(verdict), "short_cut_fails": disagreement(loaded, proof)}


def main(arguments: list[str]) -> int:
    paths = Paths(Path.cwd())
    job = {"fetch": _fetch, "verify": _verify}[arguments[0]]
    try:
        said, code = job(parse(arguments[1], ""), paths), 0
    except (ProjectError, ModuleNotFoundError, OSError) as raised:
        error = raised if isinstance(raised, ProjectError) else ProjectError(str(raised), exit=Exit.UNAVAILABLE)
        if isinstance(raised, ModuleNotFoundError):
            error = lacking(raised)
        said, code = {"error": error.message, "hint": error.hint, "exit": int(error.exit)}, int(error.exit)
    sys.stdout.write(json.dumps(said) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
