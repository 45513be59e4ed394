"""The shell commands that pages, docstrings and help texts tell users to type."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    page
    for folder in (".", "docs", "benchmarks", "experiments")
    for page in sorted((ROOT / folder).glob("*.md"))
]
SOURCES = [
    source
    for folder in ("stgcn_pyg", "experiments", "benchmarks")
    for source in sorted((ROOT / folder).rglob("*.py"))
]
PROGRAMS = r"(?:stgcn |python3? -m |torchrun |srun |pip |make |export |STGCN_\w+=)"
CONTINUED = re.compile(r"\\\n\s*")


def of_page(text):
    """Those of a Markdown page: the lines of its shell blocks, and its code between backticks."""
    blocks = re.findall(r"^```(?:sh|bash|console|shell)\n(.*?)^```", text, re.DOTALL | re.M)
    lines = [line for block in blocks for line in CONTINUED.sub("", block).splitlines()]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.M)
    return [line for line in lines if line.strip()] + between_backticks(prose)


def of_source(text):
    """Those of a module's strings and docstrings."""
    strings = [
        node.value
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return [command for string in strings for command in of_text(string)]


def of_text(text):
    """Those of a help text: lines that begin with a program, and code between backticks."""
    joined = CONTINUED.sub("", text)
    lines = re.findall(rf"^\s*(?:Examples?: )?({PROGRAMS}.*)$", joined, re.M)
    return [line.rstrip("`") for line in lines if "`" not in line] + between_backticks(text)


def of_makefile(text):
    """Its recipes, as make hands them to the shell."""
    recipes = re.findall(r"^\t[@-]?(.*)$", CONTINUED.sub("", text), re.M)
    return [re.sub(r"\$[({]\w+[)}]", "x", recipe).replace("$$", "$") for recipe in recipes]


def between_backticks(prose):
    found = [" ".join(code.split()) for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose)]
    return [code for code in found if re.match(rf"{PROGRAMS}|--\w", code)]
