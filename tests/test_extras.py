"""What works without the extras, and what a command says whose extra is missing."""

import subprocess
import sys
from configparser import ConfigParser
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from conftest import MarsTree
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from stgcn_pyg.cli import COMMANDS, EXTRAS
from stgcn_pyg.errors import MissingPackageError, needs_extra

CONFIG = ConfigParser()
CONFIG.read(Path(__file__).parent.parent / "setup.cfg")

# Runs in a process in which some packages cannot be imported, as if they were not installed.
BLOCKED = """
import sys

from importlib.machinery import PathFinder

class Installed(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] not in {modules}:
            return super().find_spec(name, path, target)

    @classmethod
    def find_distributions(cls, *context):
        found = super().find_distributions(*context)
        return [one for one in found if one.name.lower().replace("_", "-") not in {distributions}]

sys.meta_path[sys.meta_path.index(PathFinder)] = Installed
{code}
"""

EVERY_COMMAND = f"""
from contextlib import redirect_stdout, suppress
from io import StringIO
from stgcn_pyg.cli import main

for name in {list(COMMANDS)}:
    status = 0
    with suppress(SystemExit), redirect_stdout(StringIO()):  # what --help ends with
        status = main([name, "--help"])
    print(name, status)
"""

HUB = """
from stgcn_pyg.errors import UserError

for use in (STGCN.from_pretrained, model.save_pretrained, model.push_to_hub):
    try:
        use("model")
    except UserError as error:
        print(error)
"""

EVERY_PACKAGE = """
from importlib import import_module

for name in ("explain", "figures", "report", "runs.extraction", "runs.training"):
    try:
        import_module(f"stgcn_pyg.{name}")
    except ImportError as error:
        print(error)
"""

CORE = """
import numpy as np, torch
from stgcn_pyg import STGCN
from stgcn_pyg.data import TrackletDataModule, check_dataset, load_dataset
from stgcn_pyg.evaluation import FULL_GALLERY, bootstrap, evaluate_protocol, rerank
from stgcn_pyg.losses import stgcn_losses

dataset = load_dataset("mars", {root!r})
data = TrackletDataModule(dataset, num_frames=2, height=64, width=32, num_workers=0)
clips = next(iter(data.clip_dataloader(dataset.query))).clips
assert not check_dataset("mars", {root!r}, workers=1, progress=False).faults
model = STGCN(num_classes=2, num_frames=2, backbone="resnet18", weights=None)
output = model(torch.rand(4, 2, 3, 64, 32))
stgcn_losses(output.features, output.logits, torch.tensor([0, 0, 1, 1]))[0].backward()
pids, camids = np.arange(24) % 6, np.arange(24) // 6 % 2
features = np.random.default_rng(0).normal(size=(24, 8))
labels = pids[:12], pids, camids[:12], camids
result = evaluate_protocol(FULL_GALLERY, features[:12], features, *labels)
print(bootstrap(result, pids[:12]))
"""


def requirements(option, section="options.extras_require"):
    """The distributions that an option of setup.cfg names, and all that those need."""
    waiting = [Requirement(line) for line in CONFIG[section][option].split()]
    found = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if (name, *requirement.extras) in found:
            continue
        found.add((name, *requirement.extras))
        try:
            needed = [Requirement(line) for line in requires(name) or []]
        except PackageNotFoundError:
            continue
        for one in needed:
            extras = requirement.extras or {""}
            if one.marker is None or any(one.marker.evaluate({"extra": e}) for e in extras):
                waiting.append(one)
    return {name for name, *_ in found}


def run_with(installed, code):
    """Runs code in a process for which, of all that the extras bring, these alone are there."""
    absent = requirements("all") - installed
    modules = [
        module
        for module, names in packages_distributions().items()
        if {canonicalize_name(name) for name in names} <= absent
    ]
    code = BLOCKED.format(modules=modules, distributions=absent, code=code)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.fixture(scope="module")
def core():
    return requirements("install_requires", "options")


@pytest.mark.parametrize(
    ("installed", "missing"), [((), list(COMMANDS)), (("train",), ["explain", "report", "link"])]
)
def test_a_command_whose_extra_is_missing_says_so_in_one_line(core, installed, missing):
    done = run_with(core.union(*map(requirements, installed)), EVERY_COMMAND)
    said = [f"{name} {2 if name in missing else 0}" for name in COMMANDS]
    assert done.stdout.splitlines() == said, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == len(missing)
    for name, line in zip(missing, lines, strict=True):
        extra = EXTRAS.get(name, "train")
        assert line.startswith(f"stgcn {name}: error: needs ")
        assert line.endswith(f", which is not installed: pip install 'stgcn-pyg[{extra}]'")


def test_an_import_that_fails_for_another_reason_is_not_told_as_an_extra():
    with pytest.raises(ImportError, match="no_such_name"), needs_extra("train"):
        from json import no_such_name  # noqa: F401
    with pytest.raises(ModuleNotFoundError, match=r"stgcn_pyg\.no_such"), needs_extra("train"):
        import stgcn_pyg.no_such  # noqa: F401
    with pytest.raises(MissingPackageError), needs_extra("train"):
        import no_such_package.part  # noqa: F401


@pytest.fixture(scope="module")
def printed(core, tmp_path_factory):
    """The lines that the core prints at its work, of the hub, and of the other packages."""
    root = MarsTree(tmp_path_factory.mktemp("core") / "mars").write()
    parts = CORE.format(root=str(root)), HUB, EVERY_PACKAGE
    done = run_with(core, "\nprint('next part')\n".join(parts))
    assert done.returncode == 0, done.stderr
    names = "core", "hub", "packages"
    lines = (part.splitlines() for part in done.stdout.split("next part\n"))
    return dict(zip(names, lines, strict=True))


def test_the_core_reads_data_computes_and_evaluates(printed):
    assert any("mAP" in line for line in printed["core"])


def test_without_the_hub_a_model_works_and_says_what_to_install(printed):
    line = "huggingface_hub is not installed: pip install 'stgcn-pyg[hub]'"
    assert printed["hub"] == [line] * 3


def test_a_package_whose_extra_is_missing_says_so_when_it_is_imported(printed):
    extras = [
        line.partition(", which is not installed: pip install ")[2] for line in printed["packages"]
    ]
    assert extras == ["'stgcn-pyg[report]'"] * 3 + ["'stgcn-pyg[train]'"] * 2
