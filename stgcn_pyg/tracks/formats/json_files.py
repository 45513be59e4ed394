"""Files of JSON."""

import json
from pathlib import Path
from typing import Any

from stgcn_pyg.errors import UserError
from stgcn_pyg.tracks.formats.numbers import readable


def load_json(path: Path) -> Any:
    """What a file of JSON holds.

    Raises:
        UserError: It is none.
    """
    with readable(path):
        try:
            return json.loads(path.read_text(encoding="utf-8-sig"))
        except (json.JSONDecodeError, RecursionError) as error:
            raise UserError(f"{path}: is no JSON: write the file anew ({error})") from error
