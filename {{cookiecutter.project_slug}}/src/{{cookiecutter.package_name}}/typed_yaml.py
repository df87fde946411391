"""A YAML file read into a typed, strict model; every problem at once, with its line and the nearest name."""

from __future__ import annotations

import difflib
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from yaml.constructor import SafeConstructor

from .errors import ProjectError


class Strict(BaseModel):
    """Unknown keys are refused, and a number is no text."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


Config = TypeVar("Config", bound=BaseModel)


def load(path: Path, model: type[Config]) -> Config:
    """Read one YAML file into ``model``. Raises ProjectError listing every problem with its line."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.yaml")], n=3, cutoff=0.0)
        raise ProjectError(
            f"no configuration at {path}", hint=f"there are: {', '.join(near)}" if near else "check the path"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(f"{path}: cannot be read as UTF-8 text: {error}") from None
    try:
        node = _composed(text)
        problems = list(_duplicates(node)) if node is not None else []
        # from the nodes: parsing the text once more is what takes the time
        values = None if node is None else SafeConstructor().construct_document(node)
    except yaml.YAMLError as error:
        raise ProjectError(f"{path}: not valid YAML: {_where(error)}") from None
    if not isinstance(values, dict):
        raise ProjectError(
            f"{path}: expected keys and values, found {'nothing' if values is None else type(values).__name__}"
        )
    try:
        config = model.model_validate(values)
    except ValidationError as error:
        problems += [_explain(item, node, model) for item in error.errors(include_url=False)]
        config = None
    if config is None or problems:
        listing = "\n".join(f"  {problem}" for problem in problems)
        raise ProjectError(f"{path}: {len(problems)} problem{'s' if len(problems) > 1 else ''}\n{listing}")
    return config


def _composed(text: str) -> Any:
    """The nodes of a YAML text: from libyaml where PyYAML has it, in a tenth of the time."""
    with suppress(AttributeError, yaml.YAMLError):
        return yaml.compose(text, Loader=yaml.CSafeLoader)
    return yaml.compose(text, Loader=yaml.SafeLoader)  # says what is wrong in more words than libyaml


def nearest(word: str, choices: list[str]) -> str:
    """``, did you mean x?`` or nothing."""
    close = difflib.get_close_matches(word, choices, n=1)
    return f", did you mean {close[0]}?" if close else ""


def _where(error: yaml.YAMLError) -> str:
    """What YAML stumbled over, in a line: its own words take five."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return str(error).splitlines()[0]


def _duplicates(node: Any) -> Any:
    """Keys that stand twice in one mapping: YAML would silently keep the last."""
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in lines:
                yield f"line {line}: {key.value} stands here and on line {lines[key.value]}"
            lines[key.value] = line
            yield from _duplicates(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _duplicates(value)


def _line(node: Any, where: tuple[Any, ...]) -> int:
    """Line of the key that ``where`` leads to, or of the deepest part of it that exists."""
    line = node.start_mark.line + 1
    for part in where:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(part)]
            if not found:
                break
            line, node = found[0][0].start_mark.line + 1, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line


def _allowed(model: type[BaseModel], where: tuple[Any, ...]) -> list[str]:
    """Keys allowed in the mapping at ``where``."""
    for part in where:
        info = model.model_fields.get(str(part))
        inner = [t for t in (info.annotation, *get_args(info.annotation)) if isinstance(t, type)] if info else []
        models = [t for t in inner if issubclass(t, BaseModel)]
        if not models:
            return []
        model = models[0]
    return list(model.model_fields)


def _explain(error: Any, node: Any, model: type[BaseModel]) -> str:
    where = tuple(error["loc"])
    key = ".".join(str(part) for part in where)
    line = f"line {_line(node, where)}: "
    if error["type"] == "extra_forbidden":
        allowed = _allowed(model, where[:-1])
        hint = nearest(str(where[-1]), allowed) or "; allowed: " + ", ".join(allowed)
        return f"{line}unknown key {key}{hint}"
    if error["type"] == "missing":
        return f"{line}{key} is missing"
    seen = error.get("input")
    return f"{line}{key}: {error['msg'][0].lower()}{error['msg'][1:]}, found {seen!r} ({type(seen).__name__})"
