"""The artefact on disk: which files it has, what must hold before a byte of it is unpickled, and how it is loaded."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import pickle
import platform
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..errors import Exit, ProjectError
from ..files import sha256
from ..spec import ModelContract

if TYPE_CHECKING:
    from .version import ModelVersion

FOLDER, FACTS = "artefact", "facts.json"
"""A placed version: its files, and what the registry recorded of it."""
REPORT = "report"
"""Beside them after a training: metrics, slices, figures, the config and the card, as the run in MLflow shows them."""
PICKLE = "model.pkl"
CODE = "code"
CONTRACT = "extra_files/contract.json"
PROOF = "extra_files/proof.json"
TRANSFORM = Path(__file__).parent.parent / "transform"
NOT_OURS = {"registered_model_meta"}
"""Written by MLflow into whatever it downloads; not part of what was registered."""


def digests(folder: Path) -> dict[str, str]:
    """sha256 of every file below ``folder`` by its relative name: what registration records."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    named = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: sha256(path) for name, path in named.items() if name not in NOT_OURS and "__pycache__" not in name}


def refused(message: str, hint: str | None = None) -> ProjectError:
    return ProjectError(message, hint=hint, exit=Exit.SAID_NO)


def check(folder: Path, recorded: Mapping[str, str]) -> None:
    """Compare every file with its recorded sha256. Raises ProjectError naming each that differs, lacks or is extra."""
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - NOT_OURS
    problems = [f"{name} is missing" for name in sorted(set(recorded) - present)]
    problems += [f"{name} was not registered" for name in sorted(present - set(recorded))]
    problems += [
        f"{name} has sha256 {found[:12]}…, registered was {recorded[name][:12]}…"
        for name in sorted(present & set(recorded))
        if (found := sha256(folder / name)) != recorded[name]
    ]
    if problems:
        raise refused(
            "artefact refused before loading: " + "; ".join(problems),
            hint="the files changed after registration: remove this copy and fetch it again, or restore the registry",
        )


def read(folder: Path) -> dict[str, Any]:
    """Facts of a trained version that lies in ``folder``. Raises ProjectError when there is none, or not all of it."""
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ProjectError(
            f"no trained version in {folder}: {error}",
            hint=f"ml train --config configs/v1.yaml --output {folder}",
            exit=Exit.UNAVAILABLE,
        ) from None
    if not isinstance(facts, dict) or not isinstance(facts.get("files"), dict):
        raise refused(f"{folder / FACTS} is no record of a trained version", hint="train it again")
    check(folder / FOLDER, facts["files"])
    return facts


def is_placed(place: Path, facts: Mapping[str, Any]) -> bool:
    """Whether ``place`` holds exactly this version, every byte of it."""
    try:
        if json.loads((place / FACTS).read_text(encoding="utf-8")) != facts:
            return False
        check(place / FOLDER, facts["files"])
    except (OSError, ValueError, ProjectError):
        return False
    return True


def source_name(folder: Path) -> str:
    """Module name of a transform folder: ``transform_`` and the first 16 hex digits of the sha256 of its source."""
    source = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        source.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        source.update(path.read_bytes())
    return f"transform_{source.hexdigest()[:16]}"


def pack_transform(destination: Path) -> Path:
    """Copy the project's transform below ``destination`` under the name that carries its hash."""
    target = destination / source_name(TRANSFORM)
    target.mkdir(parents=True)
    for path in sorted(TRANSFORM.glob("*.py")):
        shutil.copyfile(path, target / path.name)
    return target


def import_transform(folder: Path) -> ModuleType:
    """Import a packed transform under its own name. Two versions with different source live side by side."""
    name = source_name(folder)
    if folder.name != name:
        raise refused(f"artefact refused: code/{folder.name} holds source whose name would be {name}")
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise refused(f"artefact refused: {folder} is not a package")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    # a __pycache__ would be a file in the artefact that nobody registered
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    except BaseException:
        for loaded in [key for key in sys.modules if key == name or key.startswith(name + ".")]:
            del sys.modules[loaded]
        raise
    finally:
        sys.dont_write_bytecode = before
    return module


def contract(folder: Path) -> ModelContract:
    """What the version in ``folder`` was trained under, whatever contract.py says today."""
    return ModelContract.model_validate_json((folder / CONTRACT).read_bytes())


def load(folder: Path, facts: Mapping[str, Any]) -> ModelVersion:
    """The version in ``folder``; ``facts`` are what the registry recorded of it.

    In this order: sha256 of every file, Python's minor version, the transform's source, and only then the pickle.
    Raises ProjectError (exit 1) naming what did not hold. The proof is not replayed here.
    """
    from .version import ModelVersion  # with scikit-learn: who only looks at a folder does not wait for it

    check(folder, facts["files"])
    running = ".".join(platform.python_version_tuple()[:2])
    if facts["python"] != running:
        raise refused(
            f"artefact refused before loading: trained under Python {facts['python']}, this is Python {running}",
            hint=f"serve it under Python {facts['python']}, or train a new version here",
        )
    declared = contract(folder)
    for transform in sorted((folder / CODE).iterdir()):
        import_transform(transform)
    try:
        with (folder / PICKLE).open("rb") as file:
            pipeline = pickle.load(file)  # noqa: S301 - every byte was compared with the registry above
    except ImportError as error:
        raise refused(
            f"artefact refused: it needs a library that is not installed here: {error.name}",
            hint="install what requirements.txt in the artefact lists",
        ) from error
    return ModelVersion(declared, pipeline, facts)
