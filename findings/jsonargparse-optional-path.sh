#!/usr/bin/env bash
# jsonargparse 4.53.0: an option whose type is "Path | None" reads its value as YAML first. A file
# name that YAML takes for a comment, for null or for an anchor ("#out.json", "~", "&x") becomes
# None, in silence: the option counts as not given. An option of type Path keeps the name.
# One would guess that a value on the command line is the path, whatever it is called.
# (One installs jsonargparse without extras: it brings PyYAML along.)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "jsonargparse==4.53.0" "PyYAML==6.0.3"
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version
from pathlib import Path

from jsonargparse import ArgumentParser

assert version("jsonargparse") == "4.53.0"
found = {}
for kind in (Path | None, Path):
    parser = ArgumentParser()
    parser.add_argument("--output", type=kind, default=None)
    for name in ("out.json", "#out.json", "~", "&x", "null"):
        value = parser.parse_args([f"--output={name}"]).output
        found[str(kind), name] = value
        print(f"{kind}: --output={name!r} is {value!r}")
optional, plain = str(Path | None), str(Path)
assert found[optional, "out.json"] == Path("out.json")
assert all(found[optional, name] is None for name in ("#out.json", "~", "&x", "null"))
assert all(found[plain, name] == Path(name) for name in ("out.json", "#out.json", "~", "&x", "null"))
PYTHON
