"""Refresh what is pinned: locks, the pins of schedulers, the names that the hook refuses, uv, cruft, actions.

    uv run --locked python scripts/bump.py                   the newest releases that are a week old
    uv run --locked python scripts/bump.py --keep-actions    the same, less actions and uv
    uv run --locked python scripts/bump.py --no-upgrade      only what an edited pyproject.toml asks for

The project's lock is made in a real project, generated from this template, and written back with one
templated line. Every pin has one source: an action's is the template's own workflow, uv's the Makefile,
cruft's the harness's lock. Hooks need no hand: each is `repo: local` and runs a tool from uv.lock.

Ends with 1, after writing the rest, when something could not be looked up: it is named, and its pin stays.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import actions
from surroundings import surroundings

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "{{cookiecutter.project_slug}}"
HOOK = ROOT / "hooks" / "pre_gen_project.py"
SENTINEL = "durable-ml-sentinel"
TEMPLATED = 'name = "{{ cookiecutter.project_slug }}"'
UPDATER = PROJECT / "src" / "{{cookiecutter.package_name}}" / "operations" / "template.py"
SCHEDULERS = sorted((PROJECT / "deploy").glob("*/daily.py"))
COOLDOWN = timedelta(days=7)  # most bad releases are withdrawn by then
NEWEST = ["--exclude-newer", f"{COOLDOWN.days} days"]
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
        run("uv", "lock", "--quiet", "--upgrade", *NEWEST, cwd=folder)
    # Without the option: uv records it, and then finds the lock stale wherever the option is not given.
    run("uv", "lock", "--quiet", cwd=folder)


def pin_beside(script: Path, upgrade: bool) -> None:
    """Write what a script says that it needs, for every platform; pins that are there stay if they may."""
    name = script.relative_to(PROJECT).as_posix()
    pins = f"{name.rpartition('/')[0]}/requirements.txt"
    again = f"uv pip compile --universal --no-annotate --upgrade {name} --output-file {pins}"
    command = ["uv", "pip", "compile", "--quiet", "--universal", "--no-annotate", name, "--output-file", pins]
    newer, before = ["--upgrade", *NEWEST] if upgrade else [], read(PROJECT / pins)
    run(*command, "--custom-compile-command", again, *newer, cwd=PROJECT)
    if read(PROJECT / pins) != before:
        print(f"bump: wrote {(PROJECT / pins).relative_to(ROOT).as_posix()}")


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


def action_pins(workflow: str) -> actions.Pins:
    return dict(re.findall(r"uses: ([\w./-]+)@([0-9a-f]{40} # v[\w.]+)$", workflow, flags=re.M))


def uv_version(makefile: str) -> str:
    found = re.search(r"^UV_VERSION := (\S+)$", makefile, flags=re.M)
    if not found:
        sys.exit("bump: no UV_VERSION in the Makefile")
    return found[1]


def newest_uv() -> str:
    with tempfile.TemporaryDirectory() as scratch:
        wanted = Path(scratch) / "wanted.in"
        wanted.write_text("uv\n", encoding="utf-8")
        compiled = run(
            "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate", *NEWEST, str(wanted), cwd=ROOT
        )
    return compiled.strip().removeprefix("uv==")


def with_uv(makefile: str, version: str) -> str:
    """The Makefile with this uv, unless it has a newer one."""
    numbers = [[int(part) for part in one.split(".")] for one in (uv_version(makefile), version)]
    return (
        makefile.replace(f"UV_VERSION := {uv_version(makefile)}\n", f"UV_VERSION := {version}\n")
        if numbers[0] < numbers[1]
        else makefile
    )


def with_updater(source: str, lock_text: str) -> str:
    """The project's updater with the cruft and cookiecutter that this lock has: what is tested here."""
    for package in tomllib.loads(lock_text)["package"]:
        if package["name"] in ("cruft", "cookiecutter"):
            source = re.sub(
                rf'"{package["name"]}==[^"]+"', f'"{package["name"]}=={package["version"]}"', source
            )
    return source


def repinned(workflow: str, pins: actions.Pins, uv: str) -> str:
    for action, pin in pins.items():
        workflow = re.sub(rf"(uses: {re.escape(action)})@.*$", rf"\1@{pin}", workflow, flags=re.M)
    return re.sub(r'(setup-uv@.*\n(?: .*\n)*? +version:) ".*"', rf'\1 "{uv}"', workflow)


def repinned_image(dockerfile: str, uv: str) -> str:
    return re.sub(r"\buv==\S+", f"uv=={uv}", dockerfile)


def workflows() -> list[Path]:
    """The project's, then the template's own: where both pin an action, the last one counts."""
    return [
        path
        for folder in (PROJECT, ROOT)
        for path in sorted((folder / ".github" / "workflows").glob("*.yml"))
    ]


def repin(upgrade: bool) -> list[str]:
    """Put every workflow on the same pins, newer ones if there are; returns what could not be done."""
    pins: actions.Pins = {}
    for path in workflows():
        pins |= action_pins(read(path))
    problems = []
    if upgrade:
        write(ROOT / "Makefile", with_uv(read(ROOT / "Makefile"), newest_uv()))
        pins, problems = actions.refreshed(pins, datetime.now(UTC), COOLDOWN)
    uv = uv_version(read(ROOT / "Makefile"))
    for path in workflows():
        write(path, repinned(read(path), pins, uv))
    dockerfile = PROJECT / "deploy" / "Dockerfile"  # its base image is moved by the project's own Dependabot
    write(dockerfile, repinned_image(read(dockerfile), uv))
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--no-upgrade", action="store_true", help="lock again, move only what has to")
    parser.add_argument("--keep-actions", action="store_true", help="leave actions and uv where they are")
    options = parser.parse_args()
    upgrade = not options.no_upgrade

    lock(ROOT, upgrade)
    for script in SCHEDULERS:
        pin_beside(script, upgrade)
    write(UPDATER, with_updater(read(UPDATER), read(ROOT / "uv.lock")))
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

    problems = repin(upgrade and not options.keep_actions)
    print(f"bump: {len(names)} packages locked; now `make test-all`")
    for problem in problems:
        print(f"bump: not refreshed: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
