"""The environment for a program in a generated project: this machine's, less what is the harness's own."""

import os
from pathlib import Path

OURS = {
    "VIRTUAL_ENV",
    "PYTHONPATH",
    "PYTHONHOME",
    "MAKEFLAGS",
    "MAKELEVEL",
    "MFLAGS",
    "UV_RUN_RECURSION_DEPTH",
}


def surroundings() -> dict[str, str]:
    ours = OURS | {name for name in os.environ if name.startswith(("GIT_", "PYTEST_"))}
    env = {name: value for name, value in os.environ.items() if name not in ours}
    folders = os.environ["PATH"].split(os.pathsep)
    if os.environ.get("VIRTUAL_ENV"):
        folders = [folder for folder in folders if not folder.startswith(os.environ["VIRTUAL_ENV"])]
    if os.environ.get("UV"):  # set by `uv run`: the uv that the Makefile brought along is not on the path
        folders.append(str(Path(os.environ["UV"]).parent))
    return env | {"PATH": os.pathsep.join(folders)}
