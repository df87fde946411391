"""Fetch a version from the team's registry, prove it here, and say what the image is built from.

    uv run python ci/place.py 3

The version lies below var/serving afterwards. Without a registry that the whole team reaches there is nothing to
release: exit 4. Steps that follow in a workflow get version, model, number and package as outputs.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("expected one version ID, such as 3 or late/3", file=sys.stderr)
        return 2
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        said = "no shared registry: MLFLOW_TRACKING_URI is not set (a secret of the environment called release)"
        print(f"{said}; what lies on one machine is not released", file=sys.stderr)
        return 4
    (script,) = entry_points(group="console_scripts", name="ml")
    package = script.module.partition(".")[0]
    config, errors = import_module(f"{package}.config"), import_module(f"{package}.errors")
    worker, ids = import_module(f"{package}.serving.worker"), import_module(f"{package}.model.id")
    paths = import_module(f"{package}.paths").find()
    try:
        version = ids.parse(arguments[0], config.load_operations(paths.operations).model)
        worker.fetch(version, paths)
        said = worker.verify(version, paths)
    except errors.ProjectError as error:
        print(error, file=sys.stderr)
        return int(error.exit)
    print(f"{version} is in {paths.relative(paths.serving / version.folder)}; its proof: {said}")
    if outputs := os.environ.get("GITHUB_OUTPUT"):
        facts = {"version": version, "model": version.model, "number": version.number, "package": package}
        with Path(outputs).open("a", encoding="utf-8") as file:
            file.writelines(f"{name}={value}\n" for name, value in facts.items())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
