"""`python -m stgcn_pyg.cli` is the command `stgcn`."""

import sys

from stgcn_pyg.cli import main

sys.exit(main())
