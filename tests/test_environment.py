"""A run's folder says in what it was made, each change of it once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import stgcn_pyg
from stgcn_pyg.errors import UserError
from stgcn_pyg.runs.environment import commit_of, describe_environment, read_environments
from stgcn_pyg.runs.run_folder import RunFolder
from stgcn_pyg.runs.settings import load_settings


def git(folder, *arguments):
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    """A checkout with one commit, which is a package."""
    git(tmp_path, "init")
    (tmp_path / "__init__.py").write_text("1")
    git(tmp_path, "add", "__init__.py")
    git(tmp_path, "commit", "-m", "first")
    return tmp_path


def written(path):
    """A run's folder, made or found again."""
    given = {"dataset": "mars", "root": "data", "output": path, "seed": 1, "epochs": 1}
    folder = RunFolder(load_settings(changes=given))
    folder.write()
    return folder


def test_the_versions_are_those_that_run_here():
    told = describe_environment("cpu")
    assert told["stgcn-pyg"] == stgcn_pyg.__version__
    assert told["torch"] == torch.__version__.split("+")[0]
    assert told["python"] == sys.version.split()[0]
    assert told == json.loads(json.dumps(told))


def test_a_change_anywhere_in_the_package_is_noted(checkout, monkeypatch):
    (checkout / "data").mkdir()
    (checkout / "data" / "module.py").write_text("1")
    git(checkout, "add", "data")
    git(checkout, "commit", "-m", "second")
    monkeypatch.setattr(stgcn_pyg, "__file__", str(checkout / "__init__.py"))
    assert describe_environment("cpu")["commit"] == git(checkout, "rev-parse", "HEAD")
    assert describe_environment("cpu")["changed"] is False
    (checkout / "data" / "module.py").write_text("2")
    assert describe_environment("cpu")["changed"] is True


def test_the_commit_is_that_of_the_checkout_and_changes_are_told(checkout):
    commit = git(checkout, "rev-parse", "HEAD")
    assert commit_of(checkout) == (commit, False)
    (checkout / "untracked").write_text("of no account")
    assert commit_of(checkout) == (commit, False)
    (checkout / "__init__.py").write_text("2")
    assert commit_of(checkout) == (commit, True)


def test_an_installed_package_has_no_commit_though_a_checkout_lies_above(checkout):
    installed = checkout / "site-packages"
    installed.mkdir()
    (installed / "__init__.py").write_text("1")
    assert commit_of(installed) == (None, None)
    assert commit_of(Path("/proc")) == (None, None)


def test_without_git_there_is_no_commit(checkout, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert commit_of(checkout) == (None, None)


def test_a_folder_notes_each_environment_once_and_keeps_those_before(tmp_path):
    folder = written(tmp_path / "run")
    for version in ("1", "1", "2"):
        folder.note_environment({"torch": version})
        folder = written(tmp_path / "run")
    assert read_environments(tmp_path / "run") == [{"torch": "1"}, {"torch": "2"}]


@pytest.mark.parametrize("content", ["", "{", '{"torch": "1"}', "[1]", "\0"])
def test_a_damaged_note_is_begun_anew(tmp_path, content):
    folder = written(tmp_path / "run")
    assert read_environments(tmp_path / "run") is None  # as in an older version's run
    (tmp_path / "run" / "environment.json").write_text(content)
    assert read_environments(tmp_path / "run") is None
    folder.note_environment({"torch": "1"})
    assert read_environments(tmp_path / "run") == [{"torch": "1"}]


def test_a_note_that_cannot_be_written_is_told(tmp_path):
    folder = written(tmp_path / "run")
    (tmp_path / "run" / "environment.json.part").mkdir()
    with pytest.raises(UserError, match=r"environment\.json: cannot be written"):
        folder.note_environment({"torch": "1"})
