"""The frames of tracklets as a manifest lists them."""

import pandas as pd
import pytest

from stgcn_pyg.data.tracked_frames import read_tracked_frames


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_rows_are_put_in_order_and_what_stands_in_two_splits_is_taken_once(tmp_path, suffix):
    rows = pd.DataFrame(
        {
            "path": ["NA", "b.jpg", "a.jpg", "a.jpg"],
            "camid": 2,
            "tracklet": [9, 4, 4, 4],
            "frame": [0, 7, 3, 3],
            "time": [5.0, 0.7, 0.3, 0.3],
            "track": ["01", "2", "2", "2"],
            "confidence": [0.5, None, 0.25, 0.25],
            "split": ["gallery", "gallery", "gallery", "query"],
        }
    )
    path = tmp_path / f"manifest.{suffix}"
    rows.to_csv(path, index=False) if suffix == "csv" else rows.to_parquet(path)
    found = read_tracked_frames(path)
    assert found["path"].tolist() == ["a.jpg", "b.jpg", "NA"]
    assert found["frame"].tolist() == [3, 7, 0]
    assert found["time"].tolist() == [0.3, 0.7, 5]
    assert found["track"].tolist() == ["2", "2", "01"]
    assert found["confidence"].isna().tolist() == [False, True, False]
