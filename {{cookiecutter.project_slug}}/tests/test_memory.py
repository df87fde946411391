"""Versions that have left a server's memory have left it."""

from __future__ import annotations

import gc
import weakref

import pytest

from {{cookiecutter.package_name}}.config import load_operations
from {{cookiecutter.package_name}}.model.id import VersionId
from {{cookiecutter.package_name}}.serving import worker
from {{cookiecutter.package_name}}.serving.shelf import Shelf
from {{cookiecutter.package_name}}.serving.worker import open_placed
from {{cookiecutter.package_name}}.training.registry import Registry

from conftest import Project


def test_a_version_that_was_unloaded_is_freed_though_the_collector_was_told_to_leave_it(
    trained: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "proven", lambda version, paths: (str(open_placed(version, paths)[1]), None))
    operations = load_operations(trained.paths.operations)
    serving = operations.serving.model_copy(update={"keep_versions": 1})
    shelf = Shelf(trained.paths, operations.model_copy(update={"serving": serving}))
    versions = [VersionId("hours", 1), VersionId("late", 1)]
    for version in versions:
        Registry(trained.paths).fetch(version)
    first = weakref.ref(shelf.get(versions[0]))
    request = first().request  # type: ignore[union-attr]
    try:
        for version in [versions[1], versions[0], versions[1]]:
            shelf.get(version)
        assert shelf.loaded == ["late/1"]
        assert first() is None
        # what pydantic cannot free is not made again
        assert shelf.get(versions[0]).request is request
    finally:
        gc.unfreeze()
