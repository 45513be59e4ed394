"""`stgcn evaluate` on a run, an extraction, and anyone's arrays."""

import hashlib
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import MarsTree
from safetensors.numpy import save_file
from score_files import read_scores
from tiny_run import write_run

from stgcn_pyg import __version__
from stgcn_pyg.cli import main
from stgcn_pyg.evaluation import (
    PROTOCOLS,
    bootstrap,
    evaluate_protocol,
    evaluate_ranking,
    identify_protocol,
    protocol,
    rerank,
    verify_protocol,
)
from stgcn_pyg.models import STGCN

pytestmark = pytest.mark.usefixtures("narrow_backbone")

AGAIN = "run the same `stgcn extract` again, which writes it anew"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    return write_run(folder / "run", MarsTree(folder / "mars").write())


@pytest.fixture(scope="module")
def extracted(run):
    """An extraction in one shard; not to be altered."""
    output = run.parent / "extracted"
    assert main(["extract", str(run), str(output), "--num-workers=0"]) == 0
    return output


@pytest.fixture
def copy(extracted, tmp_path):
    """The same, to be bent."""
    return Path(shutil.copytree(extracted, tmp_path / "copy"))


# Three queries on a line, and a gallery whose distances to them are easy to see:
# the first finds its match second, the second at once, and the third has none.
ARRAYS = {
    "query_features": np.array([[0.0], [10.0], [20.0]]),
    "query_pids": np.array([1, 2, 3]),
    "query_camids": np.array([1, 1, 1]),
    "gallery_features": np.array([[0.0], [1.0], [2.0], [10.5], [20.0]]),
    "gallery_pids": np.array([1, 2, 1, 2, -1]),
    "gallery_camids": np.array([1, 2, 2, 2, 2]),
    "gallery_is_query": np.array([True, False, False, False, False]),
}


@pytest.fixture
def arrays(tmp_path):
    """Writes the arrays, some changed or, if None, left out."""

    def write(**changed):
        path = tmp_path / "features.npz"
        kept = {k: v for k, v in (ARRAYS | changed).items() if v is not None}
        np.savez(path, **kept)
        return str(path)

    return write


def error_line(capsys):
    """The one line of an error; there must be no other."""
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("stgcn evaluate: error: ")
    return line.removeprefix("stgcn evaluate: error: ")


def evaluated(source, tmp_path, *more):
    path = tmp_path / "scores.json"
    assert main(["evaluate", str(source), f"--json={path}", *more]) == 0
    return read_scores(path)


def test_arrays_score_what_a_hand_works_out(arrays, tmp_path):
    scores = evaluated(arrays(), tmp_path)
    assert list(scores) == ["mars-official", "full-gallery", "query-free"]
    for name, first, gallery in (("mars-official", 0.25, 5), ("full-gallery", 0.5, 4)):
        result = scores[name]["features"]
        # Of the second's two matches one is first, one third behind person 1's far tracklet.
        second = (1 + (1 / 2 + 2 / 3) / 2) / 2 if name == "mars-official" else (1 + 2 / 3) / 2
        assert result["mAP"] == pytest.approx((first + second) / 2)
        assert result["rank-1"] == 0.5
        assert result["rank-5"] == 1
        assert result["num_gallery"] == gallery
        assert result["num_queries_without_match"] == 1
    assert scores["query-free"]["features"]["num_gallery"] == 3
    assert all(list(rows) == ["chance", "features"] for rows in scores.values())


def test_an_extraction_scores_as_the_run_that_it_is_of(run, extracted, tmp_path):
    scores = evaluated(run, tmp_path, "--num-workers=0")
    assert list(scores) == ["mars-official", "full-gallery", "query-free"]
    assert evaluated(extracted, tmp_path) == scores


def test_every_protocol_is_printed_and_said_what_it_is(extracted, capsys):
    assert main(["evaluate", str(extracted)]) == 0
    about, *blocks, last = capsys.readouterr().out.strip().split("\n\n")
    assert about.startswith(f"{extracted}, embeddings of {extracted.parent / 'run'} (checkpoint ")
    assert last.startswith("The intervals cover the choice of the test identities")
    described = {rule.name: rule.description for rule in PROTOCOLS}
    assert len(blocks) == 3
    for block, name in zip(blocks, ["mars-official", "full-gallery", "query-free"], strict=True):
        caption, head, chance, trained, low, high, description = block.splitlines()
        assert caption.startswith(f"{name}; queries 2 (0 without a match), gallery ")
        assert [row.split()[0:4] for row in (low, high)] == [
            ["trained,", "95", "%", "from"],
            ["trained,", "95", "%", "to"],
        ]
        values = [
            [float(cell) for cell in row.split()[n:]]
            for row, n in ((low, 4), (trained, 1), (high, 4))
        ]
        assert all(a <= b <= c for a, b, c in zip(*values, strict=True))
        assert head.split() == ["mAP", "rank-1", "rank-5", "rank-10", "rank-20"]
        assert (chance.split()[0], trained.split()[0]) == ("chance", "trained")
        assert description == described[name]


def test_intervals_are_those_of_the_bootstrap(arrays, tmp_path):
    scores = evaluated(arrays(), tmp_path, "--resamples=500")
    result = evaluate_protocol(
        protocol("full-gallery"), **{k: v for k, v in ARRAYS.items() if "pids" in k or "cam" in k},
        query_features=ARRAYS["query_features"], gallery_features=ARRAYS["gallery_features"],
    )  # fmt: skip
    expected = bootstrap(result, ARRAYS["query_pids"], resamples=500).to_dict()
    assert scores["full-gallery"]["features"]["intervals"] == expected
    assert "intervals" not in scores["full-gallery"]["chance"]


def test_one_person_alone_has_no_interval(arrays, tmp_path):
    alone = {k: ARRAYS[k][:1] for k in ("query_features", "query_pids", "query_camids")}
    scores = evaluated(arrays(**alone), tmp_path)
    assert "intervals" not in scores["full-gallery"]["features"]


def test_reranking_adds_a_row_with_its_own_parameters(arrays, tmp_path):
    more = ("--rerank", "--k1=2", "--k2=1", "--lambda-value=0.5")
    rows = evaluated(arrays(), tmp_path, *more)["full-gallery"]
    assert list(rows) == ["chance", "features", "re-ranked"]
    kept = ARRAYS["gallery_pids"] != -1
    distances = rerank(
        ARRAYS["query_features"], ARRAYS["gallery_features"][kept], k1=2, k2=1, lambda_value=0.5
    )
    labels = (ARRAYS["query_pids"], ARRAYS["gallery_pids"][kept])
    cameras = (ARRAYS["query_camids"], ARRAYS["gallery_camids"][kept])
    assert rows["re-ranked"]["mAP"] == evaluate_ranking(distances, *labels, *cameras).mAP
    assert "intervals" in rows["re-ranked"]


def test_a_mistake_in_reranking_is_told_in_one_line(arrays, capsys):
    assert main(["evaluate", arrays(), "--rerank", "--k1=2", "--k2=6"]) == 2
    assert error_line(capsys).endswith("k2=6: give 1 to k1=2")


@pytest.mark.parametrize("parameter", ["--k1=3", "--k2=2", "--lambda-value=0.5"])
def test_a_parameter_of_reranking_without_it_is_refused(run, parameter, capsys, monkeypatch):
    monkeypatch.setattr(STGCN, "from_feature_maps", None)  # before anything is embedded
    assert main(["evaluate", str(run), parameter]) == 2
    assert "pass --rerank" in error_line(capsys)
    assert main(["evaluate", str(run), "--rerank", "--k1=1"]) == 2
    assert "k2=6" in error_line(capsys)


def test_resamples_too_few_for_an_interval_are_refused_before_anything_is_read(capsys):
    assert main(["evaluate", "absent", "--resamples=1"]) == 2
    assert "--resamples 1: pass a whole number of at least 2" in error_line(capsys)


def test_the_ending_of_an_npz_may_be_in_capitals(arrays, tmp_path):
    path = Path(arrays())
    assert evaluated(path.rename(path.with_suffix(".NPZ")), tmp_path)


@pytest.mark.parametrize("kind", [">f8", "float16", "longdouble"])
def test_features_of_any_kind_of_real_number_score_the_same(arrays, kind, tmp_path):
    expected = evaluated(arrays(), tmp_path)
    changed = {name: ARRAYS[name].astype(kind) for name in ARRAYS if name.endswith("features")}
    changed["query_pids"] = ARRAYS["query_pids"].astype(">i4")
    assert evaluated(arrays(**changed), tmp_path) == expected


def test_large_people_of_different_kinds_of_integers_are_told_apart(arrays, tmp_path):
    large = 2**62
    query = ARRAYS["query_pids"].astype(np.uint64) + np.uint64(large)
    gallery = ARRAYS["gallery_pids"] + large
    scores = evaluated(arrays(query_pids=query, gallery_pids=gallery), tmp_path)
    before = evaluated(arrays(gallery_pids=np.array([1, 2, 1, 2, 9])), tmp_path)
    assert scores == before


def test_protocols_narrow_and_widen(extracted, arrays, tmp_path):
    chosen = ("--protocols", "agrl", "full-gallery", "agrl")
    assert list(evaluated(extracted, tmp_path, *chosen)) == ["agrl", "full-gallery"]
    without = arrays(gallery_is_query=None)
    assert list(evaluated(without, tmp_path)) == ["mars-official", "full-gallery"]
    assert list(evaluated(without, tmp_path, "--protocols", "duke")) == ["duke"]


@pytest.mark.parametrize("queries", [[True] * 5, [False, True, True, True, False]])
def test_query_free_is_left_out_where_no_query_has_a_match(arrays, tmp_path, queries, capsys):
    source = arrays(gallery_is_query=np.array(queries))
    assert list(evaluated(source, tmp_path)) == ["mars-official", "full-gallery"]
    assert main(["evaluate", source, "--protocols", "query-free"]) == 2
    assert "gallery" in error_line(capsys)


def test_verification_is_that_of_each_protocol_printed_once_for_the_same_pairs(
    arrays, tmp_path, capsys
):
    scores = evaluated(arrays(), tmp_path, "--verification", "--thresholds=1.5", "--resamples=50")
    labels = {k: ARRAYS[k] for k in ARRAYS if not k.endswith("features")}
    features = ARRAYS["query_features"], ARRAYS["gallery_features"]
    options = {"thresholds": [1.5], "resamples": 50}
    for name, rows in scores.items():
        expected = verify_protocol(protocol(name), *features, **labels, **options)
        assert rows["features"]["verification"] == expected.to_dict()
        expected = identify_protocol(protocol(name), *features, **labels, **options)
        assert rows["features"]["open_set"] == expected.to_dict()
        assert rows["features"]["open_set"]["impostors"] == "left out"
        assert "verification" not in rows["chance"]
    said = capsys.readouterr().out
    assert said.count("genuine and") == 2
    assert "\nmars-official, full-gallery; 3 genuine and 8 impostor pairs\n" in said
    assert said.count("DIR at 1.5, rank 1") == 2


def test_thresholds_without_verification_are_refused(arrays, capsys):
    assert main(["evaluate", arrays(), "--thresholds=1"]) == 2
    assert error_line(capsys) == "--thresholds: is for verification: pass --verification as well"


def test_per_query_has_a_row_a_query_and_protocol(arrays, tmp_path):
    path = tmp_path / "new" / "queries.csv"
    far = {
        # 50 junk pictures stand before the only match, so that a list of 50 places has none.
        "query_features": np.array([[0.0], [0.0]]),
        "query_pids": np.array([7, 8]),
        "query_camids": np.array([3, 3]),
        "gallery_features": np.r_[np.ones((50, 1)), [[2.0]]],
        "gallery_pids": np.r_[np.full(50, -1), 7],
        "gallery_camids": np.full(51, 4),
        "gallery_is_query": None,
    }
    wanted = ["--protocols", "full-gallery", "agrl"]
    assert main(["evaluate", arrays(**far), f"--per-query={path}", *wanted]) == 0
    source = tmp_path / "features.npz"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    same = f"features,{__version__},{source},{digest}"
    assert path.read_text() == (
        "protocol,tracklet,pid,camid,num_matches,average_precision,first_match_rank,"
        "method,version,file,file_sha256\n"
        f"full-gallery,0,7,3,1,1.0,1.0,{same}\n"
        f"full-gallery,1,8,3,0,,,{same}\n"
        f"agrl,0,7,3,1,0.0,inf,{same}\n"
        f"agrl,1,8,3,0,,,{same}\n"
    )


def test_per_query_numbers_tracklets_as_the_data_set_does(extracted, tmp_path):
    path = tmp_path / "queries.csv"
    scores = evaluated(extracted, tmp_path, f"--per-query={path}")
    table = pd.read_csv(path)
    assert table["tracklet"].tolist() == [10, 11] * 3
    assert table["pid"].tolist() == [1, 3] * 3
    assert table["num_matches"].tolist() == [1] * 6
    means = table.groupby("protocol")["average_precision"].mean()
    for name, rows in scores.items():
        assert means[name] == pytest.approx(rows["trained"]["mAP"])


def test_ranks_choose_the_columns_up_to_the_gallery(arrays, capsys):
    assert main(["evaluate", arrays(), "--ranks", "1", "3"]) == 0
    assert "mAP rank-1 rank-3\n" in capsys.readouterr().out
    assert main(["evaluate", arrays(), "--ranks", "1", "4"]) == 2
    assert error_line(capsys) == (
        "--ranks 4: query-free has only 3 in the gallery; pass lower ones"
    )


def test_arrays_need_neither_models_nor_layers(arrays):
    code = (
        "import sys; from stgcn_pyg.cli import main; assert main(sys.argv[1:]) == 0; "
        "print([m for m in sys.modules if m in ('torchvision', 'torch_geometric') "
        "or m.startswith(('stgcn_pyg.models', 'stgcn_pyg.data.datamodule', 'stgcn_pyg.layers'))])"
    )
    command = [sys.executable, "-c", code, "evaluate", arrays()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"


INTEGERS = "must be a 1-D array of integers, got float64 of shape [3]"


@pytest.mark.parametrize(
    ("changed", "more", "line"),
    [
        (
            {"query_pids": None, "gallery_camids": None},
            [],
            "lacks the arrays query_pids, gallery_camids (it has: query_features, query_camids, "
            "gallery_features, gallery_pids, gallery_is_query)",
        ),
        (
            {"query_pids": np.array([1, 2, 3, 4])},
            [],
            "query: 3 rows, 4 identities and 3 cameras; give one of each a tracklet",
        ),
        (
            {"gallery_features": np.zeros((4, 1))},
            [],
            "gallery: 4 rows, 5 identities and 5 cameras; give one of each a tracklet",
        ),
        (
            {"query_features": np.array([[0.0], [np.nan], [1.0]])},
            [],
            "query_features: 1 rows are not finite, first at [1]; check the model's output for NaN "
            "or overflow",
        ),
        (
            {"query_features": np.zeros((3, 2))},
            [],
            "features must be [A, D] and [B, D], got [3, 2] and [5, 1]",
        ),
        (
            {"query_features": np.zeros(3)},
            [],
            "query_features must be [tracklets, D], got [3]",
        ),
        (
            {"query_features": ARRAYS["query_features"] + 0j},
            [],
            "query_features must be real numbers, got complex128: save floats",
        ),
        (
            {"query_features": ARRAYS["query_features"].astype(str)},
            [],
            "query_features must be real numbers, got <U32: save floats",
        ),
        (
            {"query_features": np.zeros((0, 1)), "query_pids": np.zeros(0, int)},
            [],
            "query_features holds no tracklet: there is nothing to rank",
        ),
        (
            {"query_pids": np.array([1, 2, 2**63], np.uint64)},
            [],
            "query_pids holds 9223372036854775808, more than 64 bits with a sign can hold: give "
            "identities and cameras smaller numbers",
        ),
        ({"query_pids": np.ones(3)}, [], f"query_pids {INTEGERS}"),
        (
            {"gallery_pids": np.array(3)},
            [],
            "gallery_pids must be a 1-D array of integers, got int64 of shape []",
        ),
        (
            {"gallery_is_query": np.array(True)},
            [],
            "gallery_is_query must be 5 booleans, one a gallery item, got bool of shape []",
        ),
        (
            {"query_pids": np.array([1, 2])},
            [],
            "query: 3 rows, 2 identities and 3 cameras; give one of each a tracklet",
        ),
        (
            {"query_pids": np.array([1, 2, None])},
            [],
            "query_pids holds pickled objects, which could run code and are never loaded: "
            "save numbers",
        ),
        (
            {"gallery_is_query": None},
            ["--protocols", "query-free"],
            "query-free takes the queries out of the gallery: pass gallery_is_query, a boolean a "
            "gallery item that is true where the item is also a query",
        ),
        (
            {"gallery_pids": np.full(5, 9)},
            [],
            "none of the 3 queries has a match among the 5 gallery items: check that identities "
            "and cameras are given in the order query_pids, gallery_pids, query_camids, "
            "gallery_camids",
        ),
    ],
)
def test_bad_arrays_are_told_in_one_line(arrays, changed, more, line, capsys):
    path = arrays(**changed)
    assert main(["evaluate", path, *more]) == 2
    assert error_line(capsys) == f"{path}: {line}"


def lone_array():
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


def test_a_damaged_or_missing_npz_is_told_in_one_line(arrays, tmp_path, capsys):
    whole = Path(arrays()).read_bytes()
    flipped = bytearray(whole)
    flipped[150] ^= 1  # in the first array's numbers
    path = tmp_path / "bad.npz"
    for content in (b"", b"no zip", whole[:500], bytes(flipped), lone_array()):
        path.write_bytes(content)
        assert main(["evaluate", str(path)]) == 2
        assert error_line(capsys) == f"{path}: damaged, or not written by numpy.savez"
    path.unlink()
    assert main(["evaluate", str(path)]) == 2
    assert error_line(capsys) == f"{path}: no such file: pass one that numpy.savez wrote"


def test_no_such_source_is_told_with_what_could_be_one(tmp_path, capsys):
    for path, problem in (
        (tmp_path, "holds neither checkpoint nor extraction"),
        (tmp_path / "absent", "does not exist"),
    ):
        assert main(["evaluate", str(path)]) == 2
        assert error_line(capsys) == (
            f"{path}: {problem}; pass a run's folder, its "
            "checkpoint.ckpt, a folder that `stgcn extract` wrote, or an .npz of features"
        )


def test_an_unknown_protocol_is_told_before_anything_is_read(tmp_path, capsys):
    assert main(["evaluate", str(tmp_path), "--protocols", "mars"]) == 2
    names = ", ".join(rule.name for rule in PROTOCOLS)
    assert error_line(capsys) == (f"--protocols: protocol 'mars' is unknown: give one of {names}")


def test_what_is_for_a_model_is_refused_with_embeddings(extracted, arrays, capsys):
    for source in (str(extracted), arrays()):
        assert main(["evaluate", source, "--test-clips=first"]) == 2
        assert error_line(capsys) == (
            f"--test-clips: is for a run's model; {source} holds embeddings already: leave it out"
        )


def test_an_extraction_of_tracklets_to_train_on_has_no_queries(run, tmp_path, capsys):
    output = tmp_path / "train"
    assert main(["extract", str(run), str(output), "--parts=train", "--num-workers=0"]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(output)]) == 2
    assert error_line(capsys) == (
        f"{output}: holds no query, only tracklets to train on: extract with --parts test or all"
    )
    # The same files where others are expected are foreign.
    other = tmp_path / "extracted"
    shutil.copytree(run.parent / "extracted", other)
    for name in ("00000.parquet", "00000.safetensors"):
        shutil.copy(output / name, other / name)
        assert main(["evaluate", str(other)]) == 2
        found, expected = (
            json.loads((folder / "embeddings.json").read_text())["key"][:12]
            for folder in (output, other)
        )
        assert error_line(capsys) == (
            f"{other / name}: of another extraction (its key is {found}, not {expected}): {AGAIN}"
        )


@pytest.mark.parametrize("name", ["00000.safetensors", "00000.parquet"])
def test_a_missing_or_damaged_shard_is_named(copy, name, capsys):
    path = copy / name
    content = path.read_bytes()
    kind = {".safetensors": "safetensors of embeddings", ".parquet": "Parquet"}[path.suffix]
    for damaged in (b"", content[:100], content[:-100]):
        path.write_bytes(damaged)
        assert main(["evaluate", str(copy)]) == 2
        assert error_line(capsys) == f"{path}: damaged or no {kind}: {AGAIN}"
    path.unlink()
    assert main(["evaluate", str(copy)]) == 2
    assert error_line(capsys) == f"{path}: missing: {AGAIN}"


def test_a_changed_number_in_a_shard_is_found(copy, capsys):
    path = copy / "00000.safetensors"
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    assert main(["evaluate", str(copy)]) == 2
    assert error_line(capsys) == (
        f"{path}: damaged (not the embeddings that 00000.parquet goes with): {AGAIN}"
    )


def test_embeddings_of_another_width_are_refused(copy, capsys):
    path = copy / "00000.safetensors"
    key = json.loads((copy / "embeddings.json").read_text())["key"]
    save_file({"embedding": np.zeros((6, 7), np.float32)}, path, {"extraction": key})
    assert main(["evaluate", str(copy)]) == 2
    assert error_line(capsys) == (
        f"{path}: holds float32 [6, 7], not float32 embeddings of width 96: {AGAIN}"
    )
