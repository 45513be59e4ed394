"""Linked tracklets as TrackEval scores them, against values worked out by hand."""

import pandas as pd
import pytest

from experiments.linking import tracking_scores


def two_cameras(boxes=True):
    """Two people in each of two cameras, four frames each, side by side in the picture."""
    rows = [
        {"tracklet": 2 * camid + who, "camid": camid, "frame": frame}
        | ({"left": 100 * who, "top": 0, "width": 50, "height": 100} if boxes else {})
        for camid in (0, 1)
        for who in (0, 1)
        for frame in range(4)
    ]
    return pd.DataFrame(rows)


TRUTH = pd.Series([7, 8, 7, 8])


@pytest.mark.parametrize("boxes", [True, False])
@pytest.mark.parametrize(
    ("linked", "idf1", "hota"),
    [
        ([1, 2, 1, 2], 1, 1),
        # Nobody is linked: half of each person's frames are another identity's, so that IDF1 is
        # 1/2, and of each frame's true frames 4 of 8 are found, so that HOTA is the root of 1/2.
        ([1, 2, 3, 4], 1 / 2, 0.5**0.5),
        # One is linked, the other is not.
        ([1, 2, 1, 3], 3 / 4, 0.75**0.5),
        # The people are swapped in the second camera: 4 frames are right of 8, 4 false, 4 missed.
        ([1, 2, 2, 1], 1 / 2, (1 / 3) ** 0.5),
    ],
)
def test_links_score_as_worked_out_by_hand(boxes, linked, idf1, hota):
    scores = tracking_scores(two_cameras(boxes), TRUTH, pd.Series(linked))
    assert scores == pytest.approx({"IDF1": idf1, "HOTA": hota})
