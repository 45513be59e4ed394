"""The parts of a page: the queries shown, gaps, elements, and the size of its figures."""

import numpy as np
import pandas as pd
import pytest
from report_runs import QUICK, Page, run

from stgcn_pyg.cli.report import main
from stgcn_pyg.data.clips import ClipReader
from stgcn_pyg.report import query_sections
from stgcn_pyg.report.elements import number, table
from stgcn_pyg.report.query_sections import shown_queries
from stgcn_pyg.report.reported import Gaps

pytestmark = pytest.mark.usefixtures("narrow_backbone")


class Scored:
    """A model's scores alone, which is all that the choice of queries looks at."""

    def __init__(self, scores):
        self.result = self
        self.average_precision = np.array(scores)
        self.queries = pd.DataFrame({"pid": range(len(scores)), "camid": 1})


def test_queries_are_chosen_by_each_rule_and_none_twice():
    first = Scored([0.1, 0.9, np.nan, 0.5, 0.3, 0.7, 0.2])
    other = Scored([0.1, 0.9, np.nan, 0.5, 1.0, 0.7, 0.2])
    shown = shown_queries([first, other], count=1, seed=0)
    assert [(query.rule, query.row) for query in shown[:3]] == [
        ("change", 4),
        ("worst", 0),
        ("best", 1),
    ]
    assert shown[3].rule == "random" and shown[3].row in (3, 5, 6)
    alone = shown_queries([first], count=5, seed=0)
    assert sorted(query.row for query in alone) == [0, 1, 3, 4, 5, 6]


def test_a_line_stands_once_in_each_section():
    gaps = Gaps()
    gaps.add("one", "maps")
    gaps.add("one", "maps", "lists")
    assert gaps.of("maps") == gaps.of("lists") == gaps.lines() == ["one"]


def test_a_number_that_is_not_finite_is_a_dash():
    assert number(float("inf")) == number(float("nan")) == "–" and number(-1234.5, 1) == "-1,234.5"


def test_a_tables_text_is_escaped_and_words_stand_to_the_left(tmp_path):
    frame = pd.DataFrame({"<a>": ["1", "<b>"], "n": ["1.5\n[1, 2]", "–"]})
    (tmp_path / "table.html").write_text(table("<c>", frame, sortable=True, note="<n>"))
    page = Page(tmp_path / "table.html")
    assert page.tables == {"<c>": [["<a>", "n"], ["1", "1.5 [1, 2]"], ["<b>", "–"]]}
    source = (tmp_path / "table.html").read_text()
    assert source.count('class="text"') == 3 and "&lt;n&gt;" in source


def test_figures_beyond_the_largest_size_are_left_out_unread_and_the_page_says_so(
    tmp_path, monkeypatch
):
    read, whole = [], ClipReader.read

    def counted(self, tracklets, indices):
        read.append(tracklets.name if isinstance(tracklets, pd.Series) else None)
        return whole(self, tracklets, indices)

    monkeypatch.setattr(ClipReader, "read", counted)
    most = {"lists": 60_000, "maps": 20_000, "graphs": 60_000}
    monkeypatch.setattr(query_sections, "MOST_BYTES", most)
    output = tmp_path / "page.html"
    assert main([str(run()), f"--output={output}", *QUICK]) == 0
    page = Page(output)
    assert page.boxes == 3 * ["not all figures are shown, so that the page stays below 15 MB"]
    uris = [link for link in page.links if link.startswith("data:image")]
    assert 0 < sum(map(len, uris)) <= sum(most.values())
    lists = sum(caption.startswith("The list of tracklet") for caption in page.tables)
    assert 0 < lists < 6
    # Of lists no more is read than the query and at most seven items of one that is not shown.
    assert len([name for name in read if name is not None]) <= 8 * (lists + 1) + 2 * 6
