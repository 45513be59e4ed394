"""Is the rendered benchmark honest: what do colours, outlines and true bodies score on it?

    python -m experiments.rendered_benchmark stgcn-synth-small

No row of the table has learned anything. Colours must find clothes and must not tell look-alikes
apart; the true bodies must.

chance            a random ranking, exactly
colour stripes    histograms in horizontal stripes of the whole pictures, background and covers too
body's stripes    the same of those pixels alone that show the person's body
body's colours    one histogram of them, without knowing where in the picture they are
outlines          how often each cell of the picture shows the body, with nothing in front of it
joints            how high each joint is above the pelvis, over the body's height: mean and spread
true body         the person's true measures over their spread; + n %: measured anew for each
                  tracklet with an error of that share of the spread

The columns: all queries and the whole gallery under two protocols; `clothes`, the same with anyone
in the same clothes a match; `look-alikes`, each query against the tracklets of its own look-alike
group alone. All but the first rank only other cameras than the query's.
"""

import json as json_format
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from jsonargparse import auto_cli

from experiments.rendered_features import Rendered, features_of, load_rendered
from experiments.running.results import write_json
from stgcn_pyg.evaluation import (
    CROSS_CAMERA,
    MARS_OFFICIAL,
    Protocol,
    chance_for_protocol,
    evaluate_protocol,
)
from stgcn_pyg.synthetic import VERSIONS, write_version


def scores(rendered: Rendered, rule: Protocol, features: np.ndarray | None) -> pd.DataFrame:
    """What each query scores against the whole gallery: `pid`, `ap` and `hit`, at rank 1."""
    return _scores(rendered, rule, features, rendered.dataset.query, rendered.dataset.gallery)


def clothes_scores(rendered: Rendered, features: np.ndarray | None) -> pd.DataFrame:
    """The same with every look-alike for a match, in other cameras."""
    group = rendered.tracklets["group"]

    def relabelled(table: pd.DataFrame) -> pd.DataFrame:
        groups = group.loc[table.index].to_numpy()
        return table.assign(pid=np.where(table.pid > 0, groups + 1, table.pid))

    query, gallery = rendered.dataset.query, rendered.dataset.gallery
    return _scores(rendered, CROSS_CAMERA, features, relabelled(query), relabelled(gallery))


def scores_within_groups(rendered: Rendered, features: np.ndarray | None) -> pd.DataFrame:
    """The same, each query against its look-alikes in other cameras."""
    group = rendered.tracklets["group"]
    query, gallery = rendered.dataset.query, rendered.dataset.gallery
    parts = [
        _scores(
            rendered,
            CROSS_CAMERA,
            features,
            query[(group.loc[query.index] == number).to_numpy()],
            gallery[(group.loc[gallery.index] == number).to_numpy()],
        )
        for number in group.loc[query.index].unique()
    ]
    return pd.concat(parts, ignore_index=True)


def _scores(
    rendered: Rendered,
    rule: Protocol,
    features: np.ndarray | None,
    query: pd.DataFrame,
    gallery: pd.DataFrame,
) -> pd.DataFrame:
    """Without features: what is expected of a random ranking."""
    sides = (query, gallery)
    labels = [table[name].to_numpy(copy=True) for name in ("pid", "camid") for table in sides]
    if features is None:
        hits = []
        for row in range(len(query)):
            query_pid, gallery_pids, query_camid, gallery_camids = labels
            one = slice(row, row + 1)
            result = chance_for_protocol(
                rule, query_pid[one], gallery_pids, query_camid[one], gallery_camids
            )
            hits.append(result.rank(1))
        expected = chance_for_protocol(rule, *labels)
        return pd.DataFrame({"pid": labels[0], "ap": expected.average_precision, "hit": hits})
    index = rendered.tracklets.index
    both = [features[index.get_indexer(table.index)] for table in sides]
    result = evaluate_protocol(rule, *both, *labels)
    hit = (result.first_match_rank <= 1).astype(float)
    return pd.DataFrame({"pid": labels[0], "ap": result.average_precision, "hit": hit})


def beyond_chance(queries: pd.DataFrame, chance: pd.DataFrame) -> tuple[float, float]:
    """How far the mean AP of a person lies above chance: mean over people, standard error."""
    excess = (queries.ap - chance.ap).groupby(queries.pid).mean()
    return float(excess.mean()), float(excess.std() / np.sqrt(len(excess)))


def table_of(rendered: Rendered, features: dict[str, np.ndarray]) -> pd.DataFrame:
    """All figures in per cent, a row a method."""
    settings = {
        "mars-official": lambda x: scores(rendered, MARS_OFFICIAL, x),
        "cross-camera": lambda x: scores(rendered, CROSS_CAMERA, x),
        "clothes": lambda x: clothes_scores(rendered, x),
        "look-alikes": lambda x: scores_within_groups(rendered, x),
    }
    chance = {name: score(None) for name, score in settings.items()}
    rows = {}
    for method, values in {"chance": None, **features}.items():
        row: dict[str, float] = {}
        for name, score in settings.items():
            queries = chance[name] if values is None else score(values)
            row[f"{name} mAP"] = 100 * queries.ap.mean()
            row[f"{name} rank-1"] = 100 * queries.hit.mean()
        mean, error = beyond_chance(queries, chance["look-alikes"])  # the last of the settings
        row |= {"beyond chance": 100 * mean, "+-": 100 * error}
        rows[method] = row
    return pd.DataFrame(rows).T


def main(
    source: str, frames: int = 8, seed: int = 0, workers: int = 2, json: Path | None = None
) -> None:
    """Scores colours, outlines and true bodies.

    Args:
        source: A named version, which is rendered for the purpose, or the folder of a rendered one.
        frames: How many frames of a tracklet the colours are taken from, spread over it.
        seed: Of the errors of measurement.
        workers: Processes that render.
        json: Where to write the figures.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(source)
        if source in VERSIONS:
            root = Path(folder) / source
            write_version(root, source, workers)
        rendered = load_rendered(root)
        table = table_of(rendered, features_of(rendered, frames, seed))
    queries, gallery = len(rendered.dataset.query), len(rendered.dataset.gallery)
    print(f"{source}: {queries:,} queries, {gallery:,} in the gallery; in per cent")
    print(table.round(1).to_string())
    if json is not None:
        write_json(json, json_format.loads(table.round(3).to_json(orient="index")))


if __name__ == "__main__":
    auto_cli(main)
