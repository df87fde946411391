"""What ties a project to the template: release, address, and the files that are left alone."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import ProjectError
from .releases import Template

LINK, ANSWERS = ".cruft.json", ".template.json"
YOURS = [
    "src/*/contract.py",
    "src/*/source.py",
    "src/*/estimator.py",
    "src/*/transform/features.py",
    "src/*/sample_upstream.py",
    "configs/*",
    "operations.yaml",
    "notebooks/*",
    "README.md",
    "CODEOWNERS",
    "LICENSE",
    "uv.lock",
]
"""For a project that is older than its own list in pyproject.toml."""


def read(root: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What cruft noted about the project (nothing, if plain cookiecutter made it), and what every project notes."""
    found: dict[str, Any] = {}
    for name in (LINK, ANSWERS):
        try:
            found[name] = json.loads((root / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            found[name] = {}
        except ValueError as error:
            raise ProjectError(f"{name} is not JSON: {error}", hint=f"git log -- {name} shows it whole") from None
    try:
        _ = found[ANSWERS]["version"], found[ANSWERS]["cookiecutter"]["package_name"]
    except (KeyError, TypeError) as lacking:
        raise ProjectError(
            f"{ANSWERS} lacks {lacking}: the release that this project was made from, and the answers given",
            hint=f"git log -- {ANSWERS} shows it whole",
        ) from None
    return found[LINK], found[ANSWERS]


def address_of(given: str | None) -> str:
    if not given:
        raise ProjectError(
            "where is the template? Plain cookiecutter does not note its address",
            hint="ml template-update --template ADDRESS; after the first update it is in .cruft.json",
        )
    return str(Path(given).resolve()) if Path(given).is_dir() else given


def commit_of(template: Template, state: dict[str, Any], version: str) -> str:
    """The commit of the template that the project was made from, or last updated to."""
    noted = state.get("commit") or f"v{version}"
    if found := template.commit(noted):
        return found
    if "commit" in state:
        raise ProjectError(
            f"{template.address} has no commit {noted}, which {LINK} names",
            hint=f"nothing was changed; if it is the right template, `git rm {LINK}`, commit, and name it with "
            f"--template: then the release in {ANSWERS} counts",
        )
    raise ProjectError(
        f"{template.address} has no release {noted}, which {ANSWERS} names; "
        f"its releases are {', '.join(template.releases()) or 'none'}",
        hint="nothing was changed; is it the template that this project was made from?",
    )


def kept_files(root: Path, *, linked: bool) -> list[str] | None:
    """The user's own list of files to leave alone; None if the project is older than the list."""
    pyproject = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    kept = pyproject.get("tool", {}).get("cruft", {}).get("skip")
    if kept is None and linked:
        raise ProjectError(
            "pyproject.toml does not say which files are yours: it has no [tool.cruft] with a list called skip",
            hint=f"nothing was changed; `git rm {LINK}`, commit, and name the template with --template: "
            "then the usual list counts",
        )
    return kept


def is_yours(path: str, kept: list[str] | None) -> bool:
    """Whether an update leaves this file alone. Not said of the lock, which is made anew."""
    patterns = [one for one in (YOURS if kept is None else kept) if one != "uv.lock"]
    return any(PurePosixPath(path).match(one) or path.startswith(f"{one}/") for one in patterns)


def write(path: Path, state: dict[str, Any]) -> None:
    """As cruft writes it."""
    path.write_text(json.dumps(state, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
