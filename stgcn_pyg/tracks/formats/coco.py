"""COCO's JSON with tracks: TAO, PoseTrack, CocoVID, and YouTube-VIS, where a row is a track."""

import re
from pathlib import Path
from typing import Any

from stgcn_pyg.tracks.boxes import ENTRY_ERRORS, PEOPLE, Boxes, one_name, refuse_entry
from stgcn_pyg.tracks.formats.rows import Rows

NO_BOX = (float("nan"),) * 4
BY_NAME = "the numbers in the pictures' names"


def read_coco(path: Path, content: Any) -> Boxes:
    """The boxes of a COCO file. Where it is of several videos, each is a camera."""
    where = ""
    try:
        where = "categories"
        classes = {one["id"]: one["name"] for one in content.get("categories", ())}
        # TAO's people are the category "baby", whose WordNet sense is a person.
        people = [c["name"] for c in content.get("categories", ()) if _is_person(c)]
        rows = Rows("class", "camera", "confidence")
        videos = {video["id"]: video for video in content.get("videos", ())}
        whole_tracks = "bboxes" in content["annotations"][0] if content["annotations"] else False
        pictures = list(videos.values()) if whole_tracks else content["images"]
        names = [_video_of(picture, videos, whole_tracks) for picture in pictures]
        cameras = {p["id"]: name for p, name in zip(pictures, one_name(names), strict=True)}
        source = ""
        if whole_tracks:
            said = "frames are the places in the video's list of files"
        else:
            numbers = {picture["id"]: _frame_of(picture) for picture in pictures}
            source = next((source for _, source in numbers.values()), "")
            said = f"frames by {source}" if source else "no frames"
        for place, one in enumerate(content["annotations"], 1):
            where = f"annotation {place}"
            reason = "ignore flag" if one.get("iscrowd") else ""
            name = classes.get(one["category_id"], str(one["category_id"]))
            score = float(one.get("score", "nan"))
            if whole_tracks:
                camera = cameras[one["video_id"]]
                for frame, box in enumerate(one["bboxes"]):
                    if box:
                        rows.add(frame, one["id"], box, name, camera, score, reason=reason)
                continue
            box = one.get("bbox")
            more = one.get("attributes") or {}  # where CVAT and Datumaro write it
            track = one.get("track_id", one.get("instance_id", more.get("track_id")))
            frame, camera = numbers[one["image_id"]][0], cameras[one["image_id"]]
            reason = reason or ("" if box else "without a box")
            rows.add(frame, track, box or NO_BOX, name, camera, score, reason=reason)
        sizes = {(p.get("width"), p.get("height")) for p in pictures}
        lengths = {p.get("length", p.get("nframes")) for p in pictures}
    except ENTRY_ERRORS as error:
        refuse_entry(path, where, error)
    width, height = sizes.pop() if len(sizes) == 1 else (None, None)
    return Boxes(
        format="coco",
        table=rows.table(),
        first_frame=0,
        assumed=[said],
        left_out=rows.left_out(),
        people=people or PEOPLE,
        own_words=not people,
        pictures=".*" if source == BY_NAME else None,
        image_size=(int(width), int(height)) if width and height else None,
        num_frames=lengths.pop() if len(lengths) == 1 and len(set(names)) == 1 else None,
        row="box {}".format,
    )


def _is_person(category: dict) -> bool:
    return category["name"].lower() in PEOPLE or category.get("synset") == "person.n.01"


def _video_of(picture: dict, videos: dict, is_video: bool) -> str:
    """The name of the video that a picture is of, or that an entry of `videos` is."""
    video = picture if is_video else videos.get(picture.get("video_id"), {})
    name = video.get("name") or picture.get("video") or picture.get("vid_id")
    if not name and is_video:
        name = (video.get("file_names") or [str(video["id"])])[0].rpartition("/")[0]
    return str(name or picture.get("video_id", ""))


def _frame_of(picture: dict) -> tuple[int, str]:
    """The number of a picture's frame from 0, and what says so."""
    if "frame_index" in picture:
        return int(picture["frame_index"]), "frame_index"
    # PoseTrack's frame_id holds the video's number too; its pictures are named by frame.
    if "frame_id" in picture and "vid_id" not in picture:
        return int(picture["frame_id"]), "frame_id"
    digits = re.search(r"([0-9]+)\.[^.]+$", picture["file_name"])
    if digits is None:
        raise KeyError("frame_index")
    return int(digits[1]), BY_NAME
