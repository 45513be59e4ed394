"""The figures of several benchmarks as one page."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from benchmarks.measuring import NOT_MEASURED

COLUMNS = ("part", "figure", "median", "low", "high", "bar", "met")


def figures(value: Any, path: tuple[str, ...] = ()) -> Iterator[dict[str, object]]:
    """The figures in what a benchmark wrote: median and quartiles, or a ratio and its bound."""
    figure = {"figure": " / ".join(path)}
    if isinstance(value, dict) and "median" in value:
        yield figure | value
    elif isinstance(value, dict) and "bar" in value:
        met = "" if value["met"] is None else value["met"]
        yield figure | {"median": value["value"], "bar": value["bar"], "met": met}
    elif isinstance(value, dict):
        for key, part in value.items():
            if key != "case":
                yield from figures(part, (*path, key))
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict):
                yield from figures(item, (*path, _label(item)))
    elif isinstance(value, int | float) or value == NOT_MEASURED:
        yield figure | {"median": value}


def _label(item: dict[str, Any]) -> str:
    """What tells an item of a list from the others."""
    if "case" in item:
        return item["case"]["name"]
    (key, first), *others = item.items()
    names = [str(value) for _, value in others if isinstance(value, str) and "bar" not in item]
    return ", ".join([first if isinstance(first, str) else f"{key} {first}", *names])


def page(found: dict[str, Any], parts: Sequence[str]) -> str:
    """What was run and where, and one table of all figures, as Markdown.

    Args:
        found: What stands in the JSON file.
        parts: The names of all parts, of which some may not have been measured.
    """
    here, rows, runs = found["machine"], [], []
    for name in parts:
        part = found["parts"].get(name)
        if part is None:
            runs.append(f"- {name}: {NOT_MEASURED}")
            continue
        rows += [{"part": name} | row for row in figures(part["results"])]
        told = f"- {name}: `{part['command']}`, {part['seconds']:.0f} seconds, {part['commit']}"
        runs.append(told + (f"; it failed: {part['failed']}" if part["failed"] else ""))
    bounded, others = ([row for row in rows if ("bar" in row) == has] for has in (True, False))
    return (
        f"# Benchmarks on {here['device']}\n\n"
        f"`{found['command']}`: torch {here['torch']}, PyG {here['torch_geometric']}, Python "
        f"{here['python']}; {here['threads']} threads of {here['cores']} cores. Each part's "
        "command, time and commit:\n\n" + "\n".join(runs) + "\n\n## Figures that have a bound\n\n"
        f"{_table(bounded)}\n\n## Others: medians and quartiles\n\n{_table(others)}\n"
    )


def _table(rows: list[dict[str, object]]) -> str:
    columns = [name for name in COLUMNS if any(name in row for row in rows)]
    table = pd.DataFrame(rows, columns=columns)
    text = table.to_string(index=False, na_rep="", float_format="{:.4g}".format)
    return f"```\n{text}\n```" if rows else "None."
