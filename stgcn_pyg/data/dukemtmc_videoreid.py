"""DukeMTMC-VideoReID (Wu et al., CVPR 2018).

train/0001/0003/0001C6F0099X30823.jpg      identity, camera, frame of the tracklet and of the video
query/0001/0003/0001_C6_F0099_X30823.jpg   the other form of such a name
gallery/7140/2193/7140C2F0001D200413.jpg   D for X: a distractor, an identity like any other
"""

import re
from pathlib import Path

from stgcn_pyg.data.dataset import TrackletDataset
from stgcn_pyg.data.label_files import Report, folders_in, frames_in_order, stop_at, tabulate

PERSON = re.compile(r"\d{4}", re.ASCII)
TRACKLET = re.compile(r"[^.].*")  # of four digits, but that tells nothing
NAME = re.compile(r"(?P<pid>\d{4})_?C(?P<camid>\d)_?F(?P<frame>\d+)_?([XD]\d+)\.jpg", re.ASCII)
EXAMPLE = "0001C6F0099X30823.jpg"


def load_dukemtmc_videoreid(root: Path, report: Report = stop_at) -> TrackletDataset:
    """Reads DukeMTMC-VideoReID.

    The gallery holds the queries' tracklets once more. A query whose frames are also there, by
    their names, is that same tracklet: it has its number and its images in the gallery. Any other
    has a number of its own. Distractors have the pid of their folder.

    Args:
        root: The folder that holds ``train``, ``query`` and ``gallery``.
        report: Called with each file and folder that is passed over.

    Raises:
        UserError: One of the three is missing or holds no tracklets.
    """
    train, query, gallery = (
        _read_split(root / split, report) for split in ("train", "query", "gallery")
    )
    test = gallery | {said: paths for said, paths in query.items() if said not in gallery}
    tracklets = [*train.items(), *test.items()]
    table, frames = tabulate(
        root, [(int(pid), int(camid), paths) for (pid, camid, *_), paths in tracklets]
    )
    number = {said: len(train) + i for i, said in enumerate(test)}
    return TrackletDataset(
        name="dukemtmc-videoreid",
        root=root,
        train=table.iloc[: len(train)],
        query=table.loc[[number[said] for said in query]],
        gallery=table.iloc[len(train) : len(train) + len(gallery)],
        frames=frames,
        protocols=("duke",),
    )


def _read_split(folder: Path, report: Report) -> dict[tuple[str, ...], list[Path]]:
    """The frames of each tracklet by all that their names say: identity, camera, numbers."""
    tracklets: dict[tuple[str, ...], list[Path]] = {}
    for person in folders_in(folder, PERSON, "0001", report):
        for tracklet in folders_in(person, TRACKLET, "0001", report):
            labels = {"pid": int(person.name)}
            paths = frames_in_order(tracklet, NAME, EXAMPLE, labels, report)
            if not paths:
                continue
            names = [NAME.fullmatch(path.name).groups() for path in paths]  # type: ignore[union-attr]
            said = (*names[0][:2], *(number for name in names for number in name[2:]))
            if said in tracklets:
                report(tracklet, f"holds the same frames as {tracklets[said][0].parent}")
            else:
                tracklets[said] = paths
    return tracklets
