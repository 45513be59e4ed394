"""`stgcn export`: a network as a file for another runtime, and the proof that it is equal."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jsonargparse import Namespace
from jsonargparse.typing import restricted_number_type

from stgcn_pyg.cli.arguments import Parser, add_model_arguments, model_arguments
from stgcn_pyg.errors import RunError, UserError
from stgcn_pyg.evaluation.bootstrap import format_interval
from stgcn_pyg.export.exported import Exported
from stgcn_pyg.export.metadata import SUFFIXES, Format, Metadata, Precision
from stgcn_pyg.export.network import ExportedNetwork, InputKind, require_outputs
from stgcn_pyg.export.proof import Agreement, calibration_clips, compare_batches, compare_rankings
from stgcn_pyg.export.writing import files_of, publish, require_precision, write_network
from stgcn_pyg.files import require_apart, require_writable, write_json
from stgcn_pyg.runs.about import ABOUT, in_words
from stgcn_pyg.runs.trained_model import MissingDataError, TrainedModel, tell_skipped
from stgcn_pyg.synthetic import write_benchmark

Tolerance = restricted_number_type("Tolerance", float, [(">", 0), ("<=", 2)])

# What int8 may cost is for its user to say, by the mAP.
TOLERANCES: dict[Precision, float] = {"float32": 1e-5, "float16": 0.05, "int8": 2.0}

DESCRIPTION = """Writes a run's network into a file that another runtime reads, and proves it equal.

The file is run at two batch sizes on clips of the run's data set, and on all its test tracklets,
and compared with the run's network. If it differs by more than --tolerance, none is written.

Examples:
  stgcn export runs/mars --format onnx --output mars.onnx
  stgcn export runs/mars --format openvino --output mars.xml --input clips
  stgcn export runs/mars --format onnx --output mars.onnx --outputs features affinity
  stgcn export runs/mars --format openvino --output mars8.xml --precision int8 --json mars8.json
  stgcn export runs/mars --format torch-export --output mars.pt2 --root data/MARS"""


def main(arguments: Sequence[str]) -> int:
    """Runs the command."""
    options = _parser().parse_args(arguments)
    _require_outputs(options)
    with TemporaryDirectory() as folder:
        trained = _trained(options, Path(folder, "rendered"))
        trained.config["tf32"] = False  # on a GPU, the proof is of float32 too
        data = trained.data
        network = ExportedNetwork(
            trained.model, data.height, data.width, options.input, options.outputs
        )
        about = Metadata.of(network, options.format, options.precision, trained.checkpoint_sha256)
        written = Path(folder, f"network{SUFFIXES[options.format]}")
        write_network(written, network, about, _calibration(trained, about))
        exported = Exported(written)
        size = sum(file.stat().st_size for file in files_of(written, options.format))
        print(in_words(trained.about))
        print(
            f"as {options.format}, {options.precision}, from {options.input}: {size / 1e6:.1f} MB, "
            f"run by {exported.runtime}"
        )
        found, compared = _prove(exported, trained, options)
        tell_skipped(data)
        publish(written, options.output, options.format)
    print(
        f"{' and '.join(str(file) for file in files_of(options.output, options.format))}: written"
    )
    if options.json is not None:
        content: dict[str, Any] = {ABOUT: trained.about, "bytes": size, "batches": found}
        write_json(options.json, content | compared)
    return 0


@cache
def _parser() -> Parser:
    parser = Parser(prog="stgcn export", description=DESCRIPTION)
    add = parser.add_argument
    add("run", type=Path, help="a run's folder, or a checkpoint")
    add("--format", type=Format, required=True, help="format of the file")
    ends = "the file to write: .onnx; .xml of openvino, beside which a .bin comes; or .pt2"
    add("--output", type=Path, required=True, help=ends)
    kinds = (
        "what the file takes: pictures (uint8 frames of any size, RGB, resized and normalised "
        "inside), or clips that are normalised and of the run's size"
    )
    add("--input", type=InputKind, default="pictures", help=kinds)
    more = "outputs besides the embedding: features (by branch), affinity (by branch with graphs)"
    add("--outputs", nargs="+", type=str, default=[], help=more)
    precisions = "precision of the file; int8 is calibrated on the data set's training clips"
    add("--precision", type=Precision, default="float32", help=precisions)
    largest = (
        "largest difference of a number of an output, as a share of the output's length; "
        f"{TOLERANCES['float32']} if not given, {TOLERANCES['float16']} for float16, any for int8"
    )
    add("--tolerance", type=Tolerance | None, default=None, help=largest)
    add("--json", type=Path, default=None, help="file to write the figures to")
    add_model_arguments(parser)
    return parser


def _require_outputs(options: Namespace) -> None:
    suffix = SUFFIXES[options.format]
    if options.output.suffix != suffix:
        raise UserError(
            f"--output {options.output}: a file of --format {options.format} ends with {suffix}"
        )
    require_precision(options.format, options.precision)
    require_outputs(options.outputs)
    files = files_of(options.output, options.format)
    for file in files:
        require_writable("--output", file)
    require_writable("--json", options.json)
    outputs = {f"--output's {file.suffix}": file for file in files}
    require_apart({**outputs, "--json": options.json})


def _trained(options: Namespace, rendered: Path) -> TrainedModel:
    """The run with its data set, or with a rendered one where that is no longer there."""
    arguments = model_arguments(options)
    try:
        return TrainedModel(options.run, **arguments)
    except MissingDataError as error:
        if options.precision == "int8":
            raise UserError(f"{error}; int8 is calibrated on its training clips") from error
        print(f"{error}: compares on rendered pictures meanwhile")
    write_benchmark(
        rendered,
        train_people=1,
        test_people=6,
        cameras=2,
        cameras_per_person=2,
        tracklets_per_camera=1,
        frames=(8, 12),
        distractors=4,
        junk=2,
        height=128,
        width=64,
        progress=False,
    )
    return TrainedModel(
        options.run, **arguments | {"dataset": "mars", "root": rendered, "pack": None}
    )


def _calibration(trained: TrainedModel, about: Metadata) -> list[Any]:
    """For int8, normalised clips of the training."""
    if about.precision != "int8":
        return []
    return [about.normalize(clip) for clip in calibration_clips(trained)]


def _prove(
    exported: Exported, trained: TrainedModel, options: Namespace
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Compares and prints; raises a RunError beyond the tolerance."""
    tolerance = options.tolerance or TOLERANCES[options.precision]
    rows = []
    for (clips, _, *shape), outputs in compare_batches(exported, trained):
        sides = shape[:2] if exported.about.input == "pictures" else shape[1:]
        where = f"{clips} clip{'s' * (clips > 1)} of {sides[0]} x {sides[1]}"
        for name, found in outputs.items():
            _show(f"{where}, {name}", found, tolerance)
            rows.append({"clips": clips, "height": sides[0], "width": sides[1], "output": name})
            rows[-1] |= vars(found)
    embedded, compared = compare_rankings(exported, trained)
    _show("embeddings of all test tracklets", embedded, tolerance)
    for name, result in compared.items():
        print(f"mAP under {name}: {_difference(result['statistics']['mAP'])}")
    if not compared:
        print("no mAP: no query is known to have a match in another camera")
    return rows, compared


def _show(what: str, found: Agreement, tolerance: float) -> None:
    print(f"{what}: difference {found.difference:.1e}, cosine {found.cosine:.7f}")
    if not found.difference <= tolerance:
        raise RunError(
            f"{what}: differs from the network by {found.difference:.1e}, more than --tolerance "
            f"{tolerance:g}: nothing is written"
        )


def _difference(scores: Mapping[str, Any]) -> str:
    line = f"{100 * scores['first']:.2f} before, {100 * scores['second']:.2f} after"
    if not scores["better"] + scores["worse"]:
        return f"{line}; every query scores the same"
    difference, low, high = (scores[name] for name in ("difference", "low", "high"))
    if low is None:
        return f"{line}: {100 * difference:+.2f}, without an interval: it takes two identities"
    ends = format_interval(difference, low, high, signed=True, decimals=2)
    return f"{line}: {ends}, 95 % interval over the identities"
