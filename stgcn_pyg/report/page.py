"""The page: its sections in their order, as one HTML file."""

from collections.abc import Sequence

from markupsafe import Markup

from stgcn_pyg.report.elements import whole_page
from stgcn_pyg.report.error_section import errors_section
from stgcn_pyg.report.query_sections import QuerySections, shown_queries
from stgcn_pyg.report.reported import ReportedRun, Section
from stgcn_pyg.report.run_sections import facts, run_section, training_section
from stgcn_pyg.report.score_sections import headline, results_section

TITLES: dict[Section, str] = {
    "run": "What was run",
    "training": "Training",
    "results": "Scores",
    "lists": "Ranked lists",
    "maps": "Activation maps",
    "graphs": "Learned graphs",
    "errors": "Where it errs",
}


def render_page(runs: Sequence[ReportedRun], count: int = 3, top: int = 10, seed: int = 0) -> str:
    """The page of some runs, as HTML that needs no other file.

    What is missing on it is in the runs' gaps afterwards.

    Args:
        runs: At least one; several have the same test set, and are compared with the first.
        count: The largest number of queries of each kind whose lists are shown.
        top: Number of ranked items in a list.
        seed: Random seed of the random queries.
    """
    names = list(dict.fromkeys(name for run in runs for name in run.protocols()))
    having = [run for run in runs if run.model is not None]
    usual = having[0].evaluated.protocol.name if having else next(iter(names), "")
    blocks: dict[Section, list[Markup]] = {
        "run": run_section(runs),
        "training": training_section(runs),
        "results": results_section(runs, names),
    }
    if having:
        queries = shown_queries([run.evaluated for run in having], count, seed)
        sections = QuerySections(having, queries)
        blocks |= {
            "lists": sections.lists(top),
            "maps": sections.maps(),
            "graphs": sections.graphs(),
            "errors": errors_section(having),
        }
    known = facts(runs[0])
    lead = [known[name] for name in ("Data", "Model", "Training") if name in known]
    return whole_page(
        "report",
        f"Report of {'runs' if len(runs) > 1 else 'a run'}",
        [run.label for run in runs],
        [
            (name, title, [line for run in runs for line in run.gaps.of(name)], blocks.get(name))
            for name, title in TITLES.items()
        ],
        lead=". ".join(lead) + "." if lead and len(runs) == 1 else "",
        headline=headline(runs, usual) if usual else [],
        gaps=list(dict.fromkeys(line for run in runs for line in run.gaps.lines())),
    )
