#!/usr/bin/env bash
# A class folder whose name holds a word like `train` or `test` makes datasets lose the other classes and all labels.
#
# Software: datasets 5.2.0, Pillow 13.0.0 (Python 3.11).
# Input: folders of images, one folder a class, five PNG files each, no folder that is meant as a split.
# Behaviour of `load_dataset("imagefolder", data_dir=...)`:
#   - it looks for split words between separators (`_`, `-`, `.`, space) in the names of the class folders. Where one has
#     such a word, only the folders with one are read; the others are left out without an error or a warning.
#   - where what is left is one class, its label column is dropped too, since all images share one label.
#   - where it is two (`train`, `test_tube` beside `bus`), they become splits, and the third class is gone.
# Output seen (classes: images of each split, and the labels):
#   bus_stop, train_station: train 5 of 10, no labels
#   bus stop, high-speed train: train 5 of 10, no labels
#   fire_truck, valid_ticket: validation 5 of 10, no labels
#   bus, testing_ground: test 5 of 10, no labels
#   bus, test_tube, train: test 5 + train 5 of 15, labels test_tube train
#   bus, trainer: train 10 of 10, labels bus trainer
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check datasets==5.2.0 pillow==13.0.0
cat >"$work/load.py" <<'PY'
import pathlib
import sys

import datasets
from PIL import Image

datasets.disable_progress_bars()
work = pathlib.Path(sys.argv[1])
cases = [
    ["bus_stop", "train_station"],
    ["bus stop", "high-speed train"],
    ["fire_truck", "valid_ticket"],
    ["bus", "testing_ground"],
    ["bus", "test_tube", "train"],
    ["bus", "trainer"],
]
for number, names in enumerate(cases):
    root = work / str(number) / "pictures"
    for colour, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for i in range(5):
            Image.new("RGB", (8, 8), (colour * 40, i * 10, 0)).save(root / name / f"{i}.png")
    data = datasets.load_dataset("imagefolder", data_dir=str(root), cache_dir=str(work / "cache" / str(number)))
    parts = " + ".join(f"{split} {len(data[split])}" for split in sorted(data))
    features = next(iter(data.values())).features
    labels = f"labels {' '.join(features['label'].names)}" if "label" in features else "no labels"
    print(f"{', '.join(names)}: {parts} of {5 * len(names)}, {labels}")
PY
HF_HUB_OFFLINE=1 HOME="$work" "$work/venv/bin/python" "$work/load.py" "$work" | tee "$work/seen"
sed -n '/^# Output seen/,/^set /{s/^#   //p}' "$0" | diff - "$work/seen" || {
  echo "the behaviour is no longer the one that this file describes" >&2
  exit 1
}
