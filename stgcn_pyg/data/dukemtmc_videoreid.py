"""DukeMTMC-VideoReID (Wu et al., CVPR 2018).

train/0001/0003/0001C6F0099X30823.jpg      identity, camera, frame of the tracklet and of the video
query/0001/0003/0001_C6_F0099_X30823.jpg   the other form of such a name
gallery/7140/2193/7140C2F0001D200413.jpg   D for X: a distractor, an identity like any other
"""

import re
from pathlib import Path

from stgcn_pyg.data.dataset import TrackletDataset
from stgcn_pyg.data.label_files import LabelledFrames, NameForm, Report, find_holder, tabulate

IDENTITY = NameForm(re.compile(r"\d{4}", re.ASCII), "0001")
# Of four digits, but any name in UTF-8 will do.
TRACKLET = NameForm(re.compile(r"[^.\ud800-\udfff][^\ud800-\udfff]*"), "0001")
NAME = NameForm(
    re.compile(r"(?P<pid>\d{4})_?C(?P<camid>\d)_?F(?P<frame>\d+)_?([XD]\d+)\.jpg", re.ASCII),
    "0001C6F0099X30823.jpg",
)


def load_dukemtmc_videoreid(root: Path, report: Report) -> TrackletDataset:
    """Reads DukeMTMC-VideoReID from the folder of ``train``, ``query`` and ``gallery``, or above.

    The gallery holds the queries' tracklets once more. A query whose frames are also there, by
    their names, is that same tracklet: it has its number and its images in the gallery. Any other
    has another number. Distractors have the pid of their folder. A UserError is raised where one
    of the three folders is missing or holds no tracklets.
    """
    root = find_holder(root, "DukeMTMC-VideoReID", "train") or root
    train, query, gallery = (
        _read_split(root / split, report) for split in ("train", "query", "gallery")
    )
    test = gallery | {names: tracklet for names, tracklet in query.items() if names not in gallery}
    table, frames = tabulate(root, [*train.values(), *test.values()])
    number = {names: len(train) + i for i, names in enumerate(test)}
    return TrackletDataset(
        name="dukemtmc-videoreid",
        root=root,
        train=table.iloc[: len(train)],
        query=table.loc[[number[names] for names in query]],
        gallery=table.iloc[len(train) : len(train) + len(gallery)],
        frames=frames,
        protocols=("duke",),
    )


def _read_split(folder: Path, report: Report) -> dict[tuple[str, ...], LabelledFrames]:
    """The tracklets by the names of their frames, written without underscores."""
    tracklets: dict[tuple[str, ...], LabelledFrames] = {}
    for identity in IDENTITY.folders_in(folder, report):
        for tracklet in TRACKLET.folders_in(identity, report):
            pid = int(identity.name)
            paths = NAME.frames_in(tracklet, {"pid": pid}, report)
            names = tuple(path.name.replace("_", "") for path in paths)
            if names in tracklets:
                report(tracklet, f"holds the same frames as {tracklets[names].paths[0].parent}")
            elif names:
                camid = int(names[0].partition("C")[2][0])
                tracklets[names] = LabelledFrames(pid, camid, paths)
    return tracklets
