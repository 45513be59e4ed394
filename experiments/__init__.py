"""The paper's tables and figures, and what this project claims: `python -m experiments NAME`."""

import sys
from importlib.abc import InspectLoader
from importlib.util import spec_from_loader


class _FormerModules(InspectLoader):
    """Lets ``python -m experiments.NAME`` mean ``python -m experiments NAME``.

    Each experiment was a module once, and notes and scripts still call them so. Python asks here
    only for modules of which there is no file.
    """

    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        package, _, name = fullname.rpartition(".")
        if package != __name__:
            return None
        from experiments.__main__ import EXPERIMENTS

        if name not in EXPERIMENTS:
            return None
        return spec_from_loader(fullname, cls(), origin=__file__)

    def get_source(self, fullname: str) -> str:
        name = fullname.rpartition(".")[2]
        return (
            "import sys\n"
            "from experiments.__main__ import main\n"
            'if __name__ == "__main__":\n'
            f"    sys.exit(main([{name!r}, *sys.argv[1:]]))\n"
        )


sys.meta_path.append(_FormerModules)
