"""The lock is real: it fits every project, and one line of it is templated."""

import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import bump
import pytest
from conftest import FORTY, ROOT, TEMPLATE, Bake, Project

LOCK = (TEMPLATE / "uv.lock").read_text(encoding="utf-8")
NAMES = ["ETA", FORTY, "O'Neill's parcels", "Größenschätzung Köln", "Zz top"]


def lock_check(project: Project, cache: Path) -> int:
    """With an empty cache and no network: the lock alone must do."""
    env = {"UV_CACHE_DIR": str(cache)}
    return project.run("uv", "lock", "--check", "--offline", env=env, check=False).returncode


@pytest.mark.parametrize("name", NAMES)
def test_the_lock_fits(bake: Bake, tmp_path: Path, name: str):
    assert lock_check(bake(project_name=name), tmp_path / "cache") == 0


@pytest.mark.parametrize(
    ("seen", "written"),
    [('"rich>=14"', '"rich>=999"'), ('requires-python = ">=3.11"', 'requires-python = ">=3.12"')],
)
def test_a_lock_that_does_not_fit_is_seen(default: Project, tmp_path: Path, seen: str, written: str):
    copy = Project(tmp_path / "copy")
    shutil.copytree(default.path, copy.path)
    text = copy.text("pyproject.toml")
    assert seen in text
    (copy.path / "pyproject.toml").write_text(text.replace(seen, written), encoding="utf-8")
    assert lock_check(copy, tmp_path / "cache") != 0


def test_one_line_is_templated():
    assert [line for line in LOCK.split("\n") if re.search(r"\{[{%#]", line)] == [bump.TEMPLATED]


def test_the_name_changes_one_line(default: Project, bake: Bake):
    ours, theirs = default.text("uv.lock").split("\n"), bake(project_name=FORTY).text("uv.lock").split("\n")
    assert [pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1]] == [
        ('name = "parcel-eta"', f'name = "{FORTY}"')
    ]


def test_the_lock_records_no_option_of_the_one_who_locked():
    for folder in (ROOT, TEMPLATE):
        assert "[options]" not in (folder / "uv.lock").read_text(encoding="utf-8")


def test_the_hook_refuses_exactly_what_is_locked():
    hook = (ROOT / "hooks" / "pre_gen_project.py").read_text(encoding="utf-8")
    found = re.search(r'^LOCKED = """\n(.*?)\n"""$', hook, flags=re.S | re.M)
    assert found and found[1].split() == bump.locked_names(LOCK), "run `make lock`"


def test_every_dependency_fits_the_package_that_serves(default: Project):
    """The image that serves installs no group: what builds a model must not be among the dependencies."""
    project = tomllib.loads(default.text("pyproject.toml"))
    light = " ".join(project["project"]["dependencies"])
    assert not [heavy for heavy in ("mlflow", "dvc", "polars", "pandas", "matplotlib") if heavy in light]
    assert set(project["dependency-groups"]) == {"train", "dvc", "s3", "dev"}


def required(pyproject: dict[str, Any]) -> set[str]:
    groups = [pyproject["project"]["dependencies"], *pyproject.get("dependency-groups", {}).values()]
    found = (re.match(r"[a-z0-9-]+", requirement) for group in groups for requirement in group)
    return {match[0] for match in found if match}


def test_every_dependency_is_accounted_for(default: Project):
    decisions = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")
    project, harness = decisions.split("The harness's:")
    for part, file in ((project, default.path), (harness, ROOT)):
        named = re.findall(r"[a-z0-9-]+", " ".join(re.findall(r"^\| ([^|]+) \|", part, flags=re.M)))
        pyproject = tomllib.loads((file / "pyproject.toml").read_text(encoding="utf-8"))
        assert required(pyproject) == set(named) - {"dependency", "---", "-"}


def versions(lock: str, names: set[str]) -> dict[str, str]:
    packages = tomllib.loads(lock.replace(bump.TEMPLATED, 'name = "x"'))["package"]
    return {package["name"]: package["version"] for package in packages if package["name"] in names}


def test_harness_and_project_lint_with_the_same_tools():
    """What the harness finds clean must be clean in the project too."""
    tools = {"ruff", "pyrefly", "zizmor", "check-jsonschema", "pytest"}
    ours = versions((ROOT / "uv.lock").read_text(encoding="utf-8"), tools)
    assert ours == versions(LOCK, tools) and set(ours) == tools


def test_bump_is_idempotent():
    """Putting the same names and pins back changes nothing; another name or pin does."""
    hook = (ROOT / "hooks" / "pre_gen_project.py").read_text(encoding="utf-8")
    names = bump.locked_names(LOCK)
    imports = re.search(r'^IMPORTS = """\n(.*?)\n"""$', hook, flags=re.S | re.M)
    assert imports and bump.refreshed_hook(hook, names, imports[1].split()) == hook
    assert "\nbrand-new\n" in bump.refreshed_hook(hook, ["brand-new"], [])

    workflow = (TEMPLATE / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    pins, uv = bump.action_pins(workflow), bump.uv_version((ROOT / "Makefile").read_text(encoding="utf-8"))
    assert bump.repinned(workflow, pins, uv) == workflow
    moved = bump.repinned(workflow, {"actions/checkout": f"{'0' * 40} # v9"}, "9.9.9")
    assert f"actions/checkout@{'0' * 40} # v9\n" in moved and 'version: "9.9.9"\n' in moved

    dockerfile = (TEMPLATE / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    assert bump.repinned_image(dockerfile, uv) == dockerfile
    assert " uv==9.9.9\n" in bump.repinned_image(dockerfile, "9.9.9")


def test_bump_writes_the_lock_back_with_its_one_templated_line():
    real = LOCK.replace(bump.TEMPLATED, f'name = "{bump.SENTINEL}"')
    assert bump.templated_lock(real, bump.SENTINEL) == LOCK
    with pytest.raises(SystemExit, match="expected one line"):
        bump.templated_lock(LOCK, bump.SENTINEL)


@pytest.mark.slow
def test_the_hook_knows_what_the_locked_packages_are_imported_as(synced: Project):
    hook = (ROOT / "hooks" / "pre_gen_project.py").read_text(encoding="utf-8")
    imports = re.search(r'^IMPORTS = """\n(.*?)\n"""$', hook, flags=re.S | re.M)
    names = bump.locked_names(LOCK)
    listed = synced.run("uv", "run", "--frozen", "python", "-c", bump.LIST_IMPORTS).stdout
    installed = set(re.findall(r'"([^"]+)"', listed)) - {"parcel_eta"}
    assert imports and set(bump.import_names(names, installed)) <= set(imports[1].split()), "run `make lock`"
