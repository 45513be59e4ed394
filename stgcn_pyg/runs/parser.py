"""A parser of settings whose errors are one plain line."""

import re
from collections.abc import Sequence
from typing import Any, Literal, NoReturn, get_args, get_origin

from jsonargparse import ArgumentParser

from stgcn_pyg.errors import UserError

WORDS = {bool: "true or false", int: "a whole number", float: "a finite number", str: "a word"}
LIMITS = {"v>=": "of at least ", "v<=": "of at most ", "v>": "above ", "v<": "below "}
# Where jsonargparse's messages name the value.
VALUE = r".*(?:Got|Given) value: (.*)|Not of type \w+: (.*) (?:does not|not an?) .*|.*'(.*)'"


class SettingsParser(ArgumentParser):
    """A parser that takes options by their whole names, and whose errors are one line."""

    def __init__(self, **options: Any):
        super().__init__(**{"allow_abbrev": False} | options)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raises the message as a UserError."""
        raise UserError(self.plainly(message)) from ex

    def plainly(self, message: str) -> str:
        """An error of jsonargparse in one line, which of a wrong value says what to pass."""
        message = " ".join(message.split())
        wrong = re.match(rf'Parser key "([^"]+)"(?: element \d+)?: (?:{VALUE})', message)
        action = next((a for a in self._actions if wrong and a.dest == wrong[1]), None)
        if not wrong or not action:
            return message
        is_section = "Unable to load config" in message
        wanted = (
            "its settings by name" if is_section else in_words(getattr(action, "_typehint", None))
        )
        value = wrong[wrong.lastindex or 0].replace("NoneType", "null")
        option = (action.option_strings or [action.dest])[0]
        return f"{option} {value}: pass {wanted}" if wanted else message


def in_words(kind: Any) -> str:
    """What values a type has, in words; an empty string for types that settings do not have.

    Example:
        >>> in_words(float | Literal["soft"]), in_words(int | None)
        ('a finite number, or soft', 'a whole number')
    """
    if get_origin(kind) is Literal:
        return " or ".join(get_args(kind))
    parts = [words for part in get_args(kind) if (words := in_words(part))]
    if parts and get_origin(kind) in (Sequence, list):
        return f"a list of {parts[0].removeprefix('a ')}s, as in [A, B]"
    if parts:
        return ", or ".join(parts)
    limits = getattr(kind, "_expression", "").removesuffix(" and v<inf")  # of a restricted number
    if limits:
        number = "a whole number" if issubclass(kind, int) else "a number"
        return f"{number} {re.sub('v[<>]=?', lambda sign: LIMITS[sign[0]], limits)}"
    return WORDS.get(kind, "")
