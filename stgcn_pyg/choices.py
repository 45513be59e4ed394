"""Arguments that are one of a few words."""

from typing import get_args

from stgcn_pyg.errors import UserError


def require_known(**choices: tuple[object, object]) -> None:
    """Looks whether arguments are among the words that they can be.

    Args:
        **choices: Of each argument, what was passed and the ``Literal`` of the words.

    Raises:
        UserError: One is not.

    Example:
        >>> from typing import Literal
        >>> require_known(colour=("grey", Literal["grey", "rgb"]))
    """
    for name, (value, kinds) in choices.items():
        words = get_args(kinds)
        if not isinstance(value, str) or value not in words:
            raise UserError(f"{name}={value!r} is unknown: use {', '.join(words)}")
