"""`stgcn threshold`: the distance up to which two tracklets are taken for one person."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from jsonargparse.typing import OpenUnitInterval

from stgcn_pyg.cli.arguments import Parser, Resamples
from stgcn_pyg.files import require_apart, require_outside, require_writable, write_json
from stgcn_pyg.runs.about import in_words
from stgcn_pyg.runs.extraction import StoredEmbeddings
from stgcn_pyg.runs.labelled import choose_at_fpr, has_identity, require_same_model
from stgcn_pyg.runs.scoring import score_verification

DESCRIPTION = """Chooses a threshold on an extraction of tracklets of known people.

It is the largest distance at which at most the share --fpr of all pairs of two different people is
taken for one person (the false positive rate, FPR). --test says what it does to other people.

Examples:
  stgcn extract runs/mars embeddings/held-out --parts held-out
  stgcn threshold embeddings/held-out --fpr 0.001 --test embeddings/mars --json threshold.json"""

TRAINED_ON = (
    "some of them are training tracklets: if the network was trained on these people, the FPR is "
    "higher on others; `stgcn extract --parts held-out` leaves them out"
)


def main(arguments: Sequence[str]) -> int:
    """Runs the command."""
    options = parser().parse_args(arguments)
    require_writable("--json", options.json)
    require_apart({"labelled": options.labelled, "--test": options.test, "--json": options.json})
    require_outside({"--json": options.json}, [options.labelled, options.test])
    labelled = StoredEmbeddings(options.labelled)
    test = None
    if options.test is not None:
        test = StoredEmbeddings(options.test)
        require_same_model(labelled, test, "--test")
    chosen = choose_at_fpr(labelled, options.fpr, "", options.resamples)
    content = {"about": labelled.about, "chosen": chosen.to_dict()}
    print(f"{in_words(labelled.about)}\n{chosen}")
    used = labelled.tracklets[has_identity(labelled.tracklets)]
    if used["is_train"].any() and labelled.description["parts"] != "held-out":
        print(TRAINED_ON)
    if test is not None:
        content["test"] = _tested(test, chosen.threshold, options)
    if options.json is not None:
        write_json(options.json, content)
    return 0


def parser() -> Parser:
    """The options of the command."""
    parser = Parser(prog="stgcn threshold", description=DESCRIPTION)
    add = parser.add_argument
    add("labelled", type=Path, help="the extraction of labelled tracklets to choose on")
    fpr = "share of the pairs of two people that may be taken for one"
    add("--fpr", type=OpenUnitInterval, required=True, help=fpr)
    test = "extraction of query and gallery by the same model, to say what the threshold does there"
    add("--test", type=Path, default=None, help=test)
    resamples = "number of bootstrap samples of the identities, for every interval"
    add("--resamples", type=Resamples, default=10_000, help=resamples)
    add("--json", type=Path, default=None, help="file to write the results to")
    return parser


def _tested(test: StoredEmbeddings, threshold: float, options: Namespace) -> dict[str, Any]:
    """Prints and gives the rates at the threshold under the usual protocol of the test set."""
    found = score_verification(test.task, *test.features(), [threshold], options.resamples)
    verification, open_set = next(iter(found.values()))
    print(f"\n{in_words(test.about)}\n{verification}\n\n{open_set}")
    return {
        "about": test.about,
        "verification": verification.to_dict(),
        "open_set": open_set.to_dict(),
    }
