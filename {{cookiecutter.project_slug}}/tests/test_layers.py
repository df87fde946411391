"""The shape of the package, read from its source: which way imports point, and who may read the clock."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import {{cookiecutter.package_name}} as package

SOURCE = Path(package.__file__).parent
NAME = package.__name__
LAYERS = [
    ["errors", "clock", "log", "files", "programs"],
    ["paths", "spec", "typed_yaml"],
    ["config", "console", "pages", "storage"],
    ["contract", "sample_upstream", "source", "transform", "estimator"],
    ["model"],
    ["data"],
    ["training"],
    ["monitoring"],
    ["serving"],
    ["operations"],
    ["cli"],
]
"""From the ground up. A part may import from its own layer and from those before it."""
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}
TRAVELS = {"numpy", "sklearn", "typing", "collections", "__future__"}
"""All that the folder which travels with a model may import."""
FILES = sorted(SOURCE.rglob("*.py"))
TREES = {path.relative_to(SOURCE).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def part_of(path: str) -> str:
    return path.split("/")[0].removesuffix(".py")


def module_of(path: str) -> tuple[str, ...]:
    parts = path.removesuffix(".py").split("/")
    return tuple(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path) for path in TREES}


def ours(path: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """Modules of the package that a file imports, anywhere in it, with the line."""
    folder = tuple(path.split("/")[:-1])
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = folder[: len(folder) - node.level + 1] + tuple((node.module or "").split("."))
            base = tuple(part for part in base if part)
            for alias in node.names:
                yield (*base, alias.name) if (*base, alias.name) in MODULES else base, node.lineno


def foreign(path: str) -> Iterator[tuple[str, int]]:
    """Top-level names of everything else that a file imports, with the line."""
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").split(".")[0], node.lineno


def test_every_part_of_the_package_has_its_layer() -> None:
    parts = {part_of(path) for path in TREES if path != "__init__.py"}
    assert parts == set(LEVEL)


def test_the_map_names_every_part_that_a_reader_meets() -> None:
    said = package.__doc__ or ""
    assert not [part for part in LEVEL if part not in said and part not in ("console", "sample_upstream")]


@pytest.mark.parametrize("path", sorted(TREES))
def test_imports_point_one_way(path: str) -> None:
    here = part_of(path)
    wrong = [
        f"{path}:{line} imports {'.'.join(module)}"
        for module, line in ours(path)
        if module and module[0] != here and LEVEL[module[0]] > LEVEL[here]
    ]
    assert wrong == []


def test_no_module_imports_itself_around_a_corner() -> None:
    edges = {module_of(path): {module for module, _ in ours(path) if module} for path in TREES}
    edges = {module: {to for to in targets if to != module} for module, targets in edges.items()}
    # a package's own __init__ lists what it offers: not a way back
    edges = {module: {to for to in targets if to != module[:-1]} for module, targets in edges.items()}
    done: set[tuple[str, ...]] = set()

    def visit(module: tuple[str, ...], way: tuple[tuple[str, ...], ...]) -> None:
        assert module not in way, " → ".join(".".join(step) for step in (*way, module))
        if module not in done:
            for target in sorted(edges.get(module, set())):
                visit(target, (*way, module))
            done.add(module)

    for module in sorted(edges):
        visit(module, ())


@pytest.mark.parametrize("path", sorted(TREES))
def test_our_own_modules_are_imported_relatively(path: str) -> None:
    assert [f"{path}:{line}" for name, line in foreign(path) if name == NAME] == []


@pytest.mark.parametrize("path", sorted(path for path in TREES if part_of(path) == "transform"))
def test_what_travels_imports_only_what_it_finds_elsewhere(path: str) -> None:
    assert [f"{path}:{line} {name}" for name, line in foreign(path) if name not in TRAVELS] == []
    assert [f"{path}:{line} {module}" for module, line in ours(path) if module[0] != "transform"] == []


def clock_readings(tree: ast.Module) -> list[str]:
    """Every way to ask what time it is. Durations too: they come from the stopwatch in clock.py."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            of_time = isinstance(node.value, ast.Name) and node.value.id == "time" and node.attr != "sleep"
            if of_time or node.attr in ("utcnow", "today", "now", "perf_counter", "monotonic"):
                found.append(f"{node.lineno}: {ast.unparse(node)}")
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            found += [f"{node.lineno}: {alias.name}" for alias in node.names if alias.name != "sleep"]
    return found


@pytest.mark.parametrize("path", sorted(set(TREES) - {"clock.py"}))
def test_only_the_clock_reads_the_clock(path: str) -> None:
    assert clock_readings(TREES[path]) == []


def test_a_reading_of_the_clock_would_be_found() -> None:
    for line in ("datetime.now(UTC)", "date.today()", "time.time()", "datetime.utcnow()", "time.monotonic()"):
        assert clock_readings(ast.parse(line)), line
    assert clock_readings(ast.parse("from time import time"))
    assert not clock_readings(ast.parse("time.sleep(1)"))


def test_the_middle_is_told_the_date_and_never_asks() -> None:
    asks = {
        path
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").endswith("clock")
        if "now" in [alias.name for alias in node.names]
    }
    # who plays a person at the command line, and a server, which lives in the present
    assert {path for path in asks if part_of(path) != "cli"} == {
        "operations/demo.py",
        "serving/outside.py",
        "serving/predict.py",
        "serving/shelf.py",
    }


def test_serving_imports_nothing_that_trains() -> None:
    code = f"""
import sys
import {NAME}.serving.app, {NAME}.serving.serve, {NAME}.serving.shelf, {NAME}.serving.worker, {NAME}.serving.journal
print(*sorted(set(name.partition(".")[0] for name in sys.modules) & set(["mlflow", "polars", "dataframely", "dvc"])))
print(*sorted(name for name in sys.modules if name.startswith("{NAME}.data") or name.startswith("{NAME}.training")))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "\n\n"


def test_no_file_is_too_long_to_read_at_once() -> None:
    assert {path.name: n for path in FILES if (n := len(path.read_text(encoding="utf-8").splitlines())) > 260} == {}
