"""A frozen dataset, found again by its hash: in data/, in DVC's cache, in DVC's remote. Nothing is written there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from .. import files
from ..errors import Exit, ProjectError
from ..paths import Paths
from .store import DATASETS, open_data


def recover(facts: Mapping[str, Any], paths: Paths, path: Path) -> str:
    """Put the dataset that ``facts`` of a version name at ``path``, with what it came from. Returns where it was found.

    What is found must have the recorded sha256. Raises ProjectError: exit 1 naming the dataset and every place that
    was looked at, exit 4 when DVC's remote cannot be asked.
    """
    looked = []
    for where, found in _places(facts, paths, path):
        looked.append(where)
        if found.is_file() and found.stat().st_size == facts["dataset_bytes"]:
            if (digest := files.sha256(found)) == facts["dataset_sha256"]:
                if found != path:
                    shutil.copyfile(found, path)
                files.write_json(path.with_suffix(".json"), _origin(facts))
                return where
            looked[-1] += f" (another file: sha256 {digest[:12]}…)"
        elif found.is_file():
            looked[-1] += f" (another file: {found.stat().st_size:,} bytes instead of {facts['dataset_bytes']:,})"
    listing = "\n".join(f"  {where}" for where in looked)
    raise ProjectError(
        f"the dataset {facts['dataset']} (sha256 {facts['dataset_sha256']}) is gone; it was looked for in\n{listing}",
        hint="restore data/datasets from a backup; DVC keeps what dvc repro froze: dvc push where it still is",
        exit=Exit.SAID_NO,
    )


def _origin(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What :func:`dataset.read` wants beside the file, from the registry's record: it outlives the file's own."""
    return dict(facts["window"]) | {
        "sha256": facts["dataset_sha256"],
        "md5": facts["dataset_md5"],
        "bytes": facts["dataset_bytes"],
        "rows": sum(facts["rows"].values()),
        "contract_version": facts["contract_version"],
    }


def _places(facts: Mapping[str, Any], paths: Paths, path: Path) -> Iterator[tuple[str, Path]]:
    """Where it may be, in words and as a file, the nearest first. What lies in a remote is fetched to ``path``."""
    data, own = open_data(paths), f"{DATASETS}/{facts['dataset_sha256'][:16]}.parquet"
    with suppress(FileNotFoundError), data.file(own) as found:
        yield data.where(own), found
    near = [paths.root / facts["dataset"], *sorted((paths.root / "data").glob("*.parquet"))]
    yield from ((paths.relative(found), found) for found in dict.fromkeys(near))
    if not (paths.root / ".dvc").is_dir():
        yield "DVC: not set up in this project", path
        return
    try:
        from dvc.config import NoRemoteError
        from dvc.repo import Repo
    except ModuleNotFoundError:
        yield "DVC: not installed here (uv sync --group dvc)", path
        return
    md5 = facts["dataset_md5"]
    try:
        with Repo(str(paths.root)) as repo:
            cached = Path(repo.cache.local.oid_to_path(md5))
            yield f"DVC's cache, {cached}", cached
            try:
                remote = repo.cloud.get_remote_odb()
            except NoRemoteError:
                yield "DVC's remote: none is set", path
                return
            address = remote.fs.unstrip_protocol(remote.oid_to_path(md5))
            if remote.exists(md5):
                remote.fs.get_file(remote.oid_to_path(md5), str(path))
    except Exception as error:  # a remote says no in as many ways as there are kinds of remotes
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ProjectError(
            f"DVC cannot be asked for the dataset {facts['dataset']} (md5 {md5}): {said}",
            hint="is the remote up, are its keys set? try: dvc status --cloud",
            exit=Exit.UNAVAILABLE,
        ) from error
    yield f"DVC's remote, {address}", path
