"""The paper's tables and figures, and what this project claims: `python -m experiments NAME`."""

import sys
from importlib.util import spec_from_file_location
from pathlib import Path


class _FormerModules:
    """Lets ``python -m experiments.NAME`` mean ``python -m experiments NAME``.

    Each experiment was a module once, and notes and scripts still use those names. Python asks
    here only for modules that have no file.
    """

    @staticmethod
    def find_spec(fullname, path=None, target=None):
        package, _, name = fullname.rpartition(".")
        if package != __name__:
            return None
        from experiments.__main__ import EXPERIMENTS

        if name not in EXPERIMENTS:
            return None
        return spec_from_file_location(fullname, Path(__file__).with_name("__main__.py"))


sys.meta_path.append(_FormerModules)
