"""One self-contained HTML page of a run, or of several side by side.

- ``read_run``: the files of a run's folder.
- ``report_run``: the run with its scores, where there is a model and its test set.
- ``render_page``: the page, whose gaps say what is missing and why.
"""

from stgcn_pyg.errors import needs_extra

with needs_extra("report"):
    from stgcn_pyg.report.page import render_page
    from stgcn_pyg.report.reported import ReportedRun, report_run, require_same_test_set
    from stgcn_pyg.report.run_files import Gaps, RunFiles, read_run

__all__ = [
    "Gaps",
    "ReportedRun",
    "RunFiles",
    "read_run",
    "render_page",
    "report_run",
    "require_same_test_set",
]
