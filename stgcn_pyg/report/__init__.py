"""One self-contained HTML page of a run, or of several side by side.

- ``read_run``: a run with what its folder holds; its ``score`` adds the scores of its model.
- ``render_page``: the page, whose gaps say what is missing and why.
"""

from stgcn_pyg.errors import needs_extra

with needs_extra("report"):
    from stgcn_pyg.report.page import render_page
    from stgcn_pyg.report.reported import ReportedRun, require_same_test_set
    from stgcn_pyg.report.run_files import read_run

__all__ = ["ReportedRun", "read_run", "render_page", "require_same_test_set"]
