#!/usr/bin/env bash
# ultralytics 8.4.190: with vid_stride=2 the loader of a video grabs two frames and decodes the second,
# so the frames that it tracks are 1, 3, 5, 7 of the video, counted from 0, and `save_txt` numbers them
# 1, 2, 3, 4. The last frame of every group of vid_stride counts, not the first.
# One would guess that a stride of 2 reads frames 0, 2, 4, 6, as slices do. Whoever maps a label's
# number k back to the video as (k - 1) * vid_stride cuts every person vid_stride - 1 frames too early;
# it is k * vid_stride - 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-deps "ultralytics==8.4.190" "ultralytics-thop==2.0.19"
"$folder/venv/bin/pip" install --quiet "torch==2.14.1" "torchvision==0.29.1" "numpy==2.4.6" \
    opencv-python-headless pillow pyyaml requests psutil polars matplotlib scipy
export YOLO_CONFIG_DIR="$folder" YOLO_OFFLINE=1
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import cv2
import numpy as np
import ultralytics
from ultralytics.data.loaders import LoadImagesAndVideos

assert ultralytics.__version__ == "8.4.190"
writer = cv2.VideoWriter("numbered.avi", cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 64))
for number in range(8):  # each frame is as bright as its number says
    writer.write(np.full((64, 64, 3), 30 * number, np.uint8))
writer.release()
for stride, expected in ((1, list(range(8))), (2, [1, 3, 5, 7]), (4, [3, 7])):
    loader = LoadImagesAndVideos("numbered.avi", vid_stride=stride)
    seen = [round(float(images[0].mean()) / 30) for _, images, _ in loader]
    print(f"vid_stride={stride}: frames {seen}")
    assert seen == expected, stride
PYTHON
