"""Every command in pages and help texts reaches the program as it is written, in any folder."""

import json
import re
import shlex
import shutil
import string
import subprocess
from importlib import import_module

import pytest
from shell_commands import PAGES, ROOT, SOURCES, of_makefile, of_page, of_source, of_text

from stgcn_pyg.cli import COMMANDS, main

SHELLS = {
    # With failglob bash does what zsh always does: a pattern that no file fits is an error.
    "bash": ["bash", "-O", "failglob", "-c"],
    "zsh": ["zsh", "-f", "-c"],
}


def told(path):
    text = path.read_text()
    return of_page(text) if path.suffix == ".md" else of_source(text)


def commands():
    """Every command by where it is told."""
    found = {str(path.relative_to(ROOT)): told(path) for path in (*PAGES, *SOURCES)}
    found["Makefile"] = [
        line for line in of_makefile((ROOT / "Makefile").read_text()) if "stgcn " in line
    ]
    cells = json.loads((ROOT / "docs" / "tour.ipynb").read_text())["cells"]
    found["docs/tour.ipynb"] = [
        command
        for cell in cells
        for command in (
            of_page("".join(cell["source"]))
            if cell["cell_type"] == "markdown"
            else re.findall(r"^[!%](.*)$", "".join(cell["source"]), re.M)
        )
    ]
    return {place: lines for place, lines in found.items() if lines}


@pytest.fixture(params=SHELLS)
def words_of(request, tmp_path):
    """What a shell makes of a command, in a folder with a file for every letter and digit."""
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    for letter in string.ascii_letters + string.digits + ",.":
        if letter != ".":
            (tmp_path / letter).touch()

    def split(command):
        shown = f"printf '%s\\n' {command}"
        # Variables stand for themselves.
        names = set(re.findall(r"\$(\w+)", command))
        environment = {"HOME": "/home/someone", "PATH": "/usr/bin:/bin"}
        environment |= {name: f"${name}" for name in names}
        done = subprocess.run(
            [*SHELLS[request.param], shown],
            capture_output=True, text=True, cwd=tmp_path, env=environment,
        )  # fmt: skip
        return done.stdout.splitlines() if done.returncode == 0 else done.stderr.strip()

    return split


def as_written(command):
    """The words of a command by its quotes alone."""
    return shlex.split(command, comments=True)


@pytest.mark.parametrize(
    "unquoted",
    [
        "stgcn synth data/tiny --frames [4,6]",
        "stgcn check mars data/*",
        "stgcn check mars data/??",
        "stgcn train mars ~/data",
        "python -m benchmarks.<name>",
    ],
)
def test_a_command_that_a_shell_changes_is_seen(words_of, unquoted):
    assert words_of(unquoted) != as_written(unquoted)


def test_every_command_arrives_as_it_is_written(words_of):
    found = commands()
    assert {"README.md", "docs/training.md", "Makefile", "benchmarks/README.md"} <= set(found)
    assert sum(map(len, found.values())) > 150
    wrong = {
        f"{place}: {command}": words
        for place, lines in found.items()
        for command in lines
        # A script's other lines are the shell's own.
        if not command.startswith(("#", "export "))
        and (words := words_of(command)) != as_written(command)
    }
    assert wrong == {}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_shows_each_example_on_a_line_of_its_own(name, capsys):
    examples = of_text(import_module(f"stgcn_pyg.cli.{name}").DESCRIPTION)
    assert examples
    with pytest.raises(SystemExit):
        main([name, "--help"])
    assert set(examples) <= set(of_text(capsys.readouterr().out))


def test_no_command_has_what_an_interactive_shell_takes_for_its_history():
    for place, lines in commands().items():
        for command in lines:
            plain = re.sub(r"'[^']*'", "", command)
            assert command.startswith("#!") or "!" not in plain, f"{place}: {command}"
