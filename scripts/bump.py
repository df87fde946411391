"""Refresh what is pinned: both lock files, the names that the hook refuses, the pins in the workflows.

    uv run --locked python scripts/bump.py                 the newest releases that are a week old
    uv run --locked python scripts/bump.py --no-upgrade    only what an edited pyproject.toml asks for

The project's lock is made in a real project, generated from this template, and written back with one
templated line. Workflow pins have one source: for actions the template's own ci.yml, where Dependabot moves
them; for uv the Makefile. The Dockerfile's base image is moved by the project's own Dependabot.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path

from surroundings import surroundings

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "{{cookiecutter.project_slug}}"
HOOK = ROOT / "hooks" / "pre_gen_project.py"
SENTINEL = "durable-ml-sentinel"
TEMPLATED = 'name = "{{ cookiecutter.project_slug }}"'
COOLDOWN = "7 days"  # most bad releases are withdrawn by then
LIST_IMPORTS = "import importlib.metadata as m, json; print(json.dumps(sorted(m.packages_distributions())))"


def run(*command: str, cwd: Path) -> str:
    pipe = subprocess.PIPE
    done = subprocess.run(command, cwd=cwd, env=surroundings(), stdout=pipe, text=True, encoding="utf-8")
    if done.returncode:
        sys.exit(f"bump: `{' '.join(command)}` failed in {cwd}")
    return done.stdout


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def write(path: Path, text: str) -> None:
    if read(path) != text:
        path.write_text(text, encoding="utf-8", newline="\n")
        print(f"bump: wrote {path.relative_to(ROOT).as_posix()}")


def lock(folder: Path, upgrade: bool) -> None:
    if upgrade:
        run("uv", "lock", "--quiet", "--upgrade", "--exclude-newer", COOLDOWN, cwd=folder)
    # Without the option: uv records it, and then finds the lock stale wherever the option is not given.
    run("uv", "lock", "--quiet", cwd=folder)


def templated_lock(text: str, name: str) -> str:
    line = f'name = "{name}"'
    if text.split("\n").count(line) != 1:
        sys.exit(f"bump: expected one line {line!r} in uv.lock")
    return text.replace(line + "\n", TEMPLATED + "\n")


def locked_names(lock_text: str) -> list[str]:
    """The packages in the project's lock, without the project itself."""
    packages = tomllib.loads(lock_text.replace(TEMPLATED, f'name = "{SENTINEL}"'))["package"]
    return sorted({package["name"] for package in packages} - {SENTINEL})


def import_names(names: Iterable[str], installed: Iterable[str]) -> list[str]:
    """The names that are imported and could be a package's, less those that the locked names already tell."""
    told = {name.replace("-", "_") for name in names}
    return sorted({name.lower() for name in installed if name.isidentifier() and name[0].isalpha()} - told)


def wrapped(words: Iterable[str]) -> str:
    lines = [""]
    for word in words:
        if len(lines[-1]) + len(word) >= 110:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return "\n".join(lines)


def refreshed_hook(hook: str, names: Iterable[str], imports: Iterable[str]) -> str:
    for variable, words in (("LOCKED", names), ("IMPORTS", imports)):
        block = f'{variable} = """\n{wrapped(words)}\n"""'
        hook, count = re.subn(rf'^{variable} = """\n.*?"""$', block, hook, flags=re.S | re.M)
        if count != 1:
            sys.exit(f"bump: no list called {variable} in {HOOK.name}")
    return hook


def action_pins(workflow: str) -> dict[str, str]:
    """From an action's name to its pin and version comment: `actions/checkout` to `<sha> # v7.0.1`."""
    return dict(re.findall(r"uses: ([\w./-]+)@([0-9a-f]{40} # v[\w.]+)$", workflow, flags=re.M))


def uv_version(makefile: str) -> str:
    found = re.search(r"^UV_VERSION := (\S+)$", makefile, flags=re.M)
    if not found:
        sys.exit("bump: no UV_VERSION in the Makefile")
    return found[1]


def repinned(workflow: str, pins: dict[str, str], uv: str) -> str:
    for action, pin in pins.items():
        workflow = re.sub(rf"(uses: {re.escape(action)})@.*$", rf"\1@{pin}", workflow, flags=re.M)
    return re.sub(r'(setup-uv@.*\n(?: .*\n)*? +version:) ".*"', rf'\1 "{uv}"', workflow)


def repinned_image(dockerfile: str, uv: str) -> str:
    return re.sub(r"\buv==\S+", f"uv=={uv}", dockerfile)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--no-upgrade", action="store_true", help="lock again, move only what has to")
    upgrade = not parser.parse_args().no_upgrade

    lock(ROOT, upgrade)
    with tempfile.TemporaryDirectory() as scratch:
        answers = [f"project_slug={SENTINEL}", "project_name=Durable ML sentinel"]
        bake = [
            sys.executable,
            "-m",
            "cookiecutter",
            "--no-input",
            "--default-config",
            "-o",
            scratch,
            str(ROOT),
            *answers,
        ]
        run(*bake, cwd=ROOT)
        project = Path(scratch) / SENTINEL
        lock(project, upgrade)
        run("uv", "sync", "--quiet", "--locked", "--no-install-project", cwd=project)
        installed = json.loads(run("uv", "run", "--no-sync", "python", "-c", LIST_IMPORTS, cwd=project))
        text = read(project / "uv.lock")
    names = locked_names(text)
    write(PROJECT / "uv.lock", templated_lock(text, SENTINEL))
    write(HOOK, refreshed_hook(read(HOOK), names, import_names(names, installed)))

    pins, uv = action_pins(read(ROOT / ".github/workflows/ci.yml")), uv_version(read(ROOT / "Makefile"))
    for folder in (ROOT, PROJECT):
        for workflow in sorted((folder / ".github" / "workflows").glob("*.yml")):
            write(workflow, repinned(read(workflow), pins, uv))
    dockerfile = PROJECT / "deploy" / "Dockerfile"
    write(dockerfile, repinned_image(read(dockerfile), uv))
    print(f"bump: {len(names)} packages locked; now `make test-all`")


if __name__ == "__main__":
    main()
