r"""Everything in the image, as CycloneDX 1.5: uv's list of the Python packages, Debian's packages, the model version.

    uv export --locked --no-default-groups --format cyclonedx1.5 --output-file sbom.json
    dpkg-query --show --showformat '${Package} ${Version} ${Architecture}\n' > debian.txt      (inside the image)
    uv run python ci/sbom.py sbom.json debian.txt hours/3

The first file is read and written again with the rest in it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent


def debian(listing: str) -> list[dict[str, Any]]:
    """One component for each line `name version architecture`. Raises ValueError for a line that is none."""
    found = []
    for line in listing.splitlines():
        name, version, architecture = line.split(" ")
        purl = f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={architecture}"
        found.append({"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl})
    return found


def model(version: str, facts: dict[str, Any]) -> dict[str, Any]:
    """The model version with the sha256 of each of its files, as the registry recorded them."""
    files = [
        {"type": "file", "name": name, "hashes": [{"alg": "SHA-256", "content": sha256}]}
        for name, sha256 in sorted(facts["files"].items())
    ]
    name, _, number = version.rpartition("/")
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{version}",
        "name": name,
        "version": number,
        "components": files,
    }


def main(arguments: list[str]) -> int:
    if len(arguments) != 3:
        print("expected the files of uv and dpkg-query, and a version such as hours/3", file=sys.stderr)
        return 2
    target, listing, version = arguments
    bom = json.loads(Path(target).read_text(encoding="utf-8"))
    facts = json.loads((ROOT / "var" / "serving" / version / "facts.json").read_text(encoding="utf-8"))
    system = debian(Path(listing).read_text(encoding="utf-8"))
    if not system or not bom["components"]:
        print("a list is empty: that is no image", file=sys.stderr)
        return 1
    print(f"{len(bom['components'])} Python packages, {len(system)} Debian packages, model {version}")
    bom["components"] += [*system, model(version, facts)]
    Path(target).write_text(json.dumps(bom, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
