"""One self-contained HTML page of a run, or of several side by side.

- ``read_run``: what lies in a run's folder.
- ``report_run``: it is scored, where there is a model and its test set.
- ``render_page``, ``write_page``: the page, whose gaps say what is missing and why.
"""

from stgcn_pyg.report.gaps import Gaps
from stgcn_pyg.report.page import render_page, write_page
from stgcn_pyg.report.reported import ReportedRun, report_run, require_same_test_set
from stgcn_pyg.report.run_files import RunFiles, read_run

__all__ = [
    "Gaps",
    "ReportedRun",
    "RunFiles",
    "read_run",
    "render_page",
    "report_run",
    "require_same_test_set",
    "write_page",
]
