"""Columns that may never be written: each has to be one, or a slip of the pen would let personal data through."""

from __future__ import annotations

import json
import subprocess
import sys

from ..errors import Exit, ProjectError
from ..model import artefact
from ..paths import Paths
from ..typed_yaml import nearest

TIMEOUT = 120.0
"""Seconds; polars and dataframely take one to import."""


def must_know(names: list[str], paths: Paths) -> None:
    """Raises ProjectError (exit 2) for a name that no contract has: neither a version's here, nor the project's own."""
    known = _of_versions(paths)
    if not set(names) <= known:
        known |= _of_project(paths)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ProjectError(
            "serving.log.redact: "
            + "; ".join(f"there is no column {name}{nearest(name, sorted(known))}" for name in unknown),
            hint=f"the contract's columns are {', '.join(sorted(known))}",
        )


def _of_versions(paths: Paths) -> set[str]:
    placed = paths.serving.glob(f"*/*/{artefact.FOLDER}/{artefact.CONTRACT}")
    columns = (column for path in placed for column in json.loads(path.read_bytes())["columns"])
    return {column["name"] for column in columns}


def _of_project(paths: Paths) -> set[str]:
    """As contract.py says, in a process of its own: it needs polars."""
    command = [sys.executable, "-m", f"{__package__}.redaction"]
    ran = subprocess.run(command, cwd=paths.root, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    if ran.returncode:
        raise ProjectError(
            f"serving.log.redact: the contract cannot be read: {(ran.stderr.strip().splitlines() or ['?'])[-1]}",
            hint="uv sync brings everything that is in the lock",
            exit=Exit.UNAVAILABLE,
        )
    return set(json.loads(ran.stdout))


def main() -> None:
    from ..contract import CONTRACT

    labels = CONTRACT.labels if isinstance(CONTRACT.labels, tuple) else ()
    sys.stdout.write(json.dumps([name for name in CONTRACT.rows.schema.column_names() if name not in labels]))


if __name__ == "__main__":
    main()
