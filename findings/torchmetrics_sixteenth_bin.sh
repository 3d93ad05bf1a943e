#!/usr/bin/env bash
# torchmetrics sorts a confidence of exactly 1 into a bin of its own: fifteen bins are sixteen, and the error jumps.
#
# Software: torchmetrics 1.9.0, torch 2.15.0 (Python 3.11).
# Input: two classes, twenty predictions: ten with confidence 0.96, all right, and ten that are all wrong, with the confidence
# that each line names. A softmax in single precision gives exactly 1 as soon as the logits differ by some 17.
# Behaviour of `multiclass_calibration_error(..., n_bins=15, norm="l1")`:
#   - below 1 both tens share the last bin, (14/15, 1]: half of it is right, and the error is 0.48, by hand as well.
#   - at exactly 1 the wrong ten stand alone in a sixteenth bin, and the error is 0.52. The largest number below 1 in single
#     precision still has 0.48: a change of the confidence by 6e-8 moves the calibration error by 0.04.
# Output seen:
#   confidence 0.9999: torchmetrics 0.480, fifteen bins by hand 0.480
#   confidence 0.99999994: torchmetrics 0.480, fifteen bins by hand 0.480
#   confidence 1.0: torchmetrics 0.520, fifteen bins by hand 0.480
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 torchmetrics==1.9.0
cat >"$work/bins.py" <<'PY'
import torch
from torchmetrics.functional.classification import multiclass_calibration_error


def by_hand(confidences, right, bins=15):
    error = 0.0
    for number in range(bins):
        inside = [i for i, c in enumerate(confidences) if min(int(c * bins), bins - 1) == number]
        error += abs(sum(right[i] - confidences[i] for i in inside))
    return error / len(confidences)


for confidence in (0.9999, 0.99999994, 1.0):
    probabilities = torch.tensor([[c, 1 - c] for c in [0.96] * 10 + [confidence] * 10], dtype=torch.float32)
    labels = torch.tensor([0] * 10 + [1] * 10)
    top = probabilities[:, 0].tolist()
    error = float(multiclass_calibration_error(probabilities, labels, num_classes=2, n_bins=15, norm="l1"))
    hand = by_hand(top, [1] * 10 + [0] * 10)
    print(f"confidence {confidence}: torchmetrics {error:.3f}, fifteen bins by hand {hand:.3f}")
PY
"$work/venv/bin/python" "$work/bins.py" | tee "$work/seen"
sed -n '/^# Output seen/,/^set /{s/^#   //p}' "$0" | diff - "$work/seen" || {
  echo "the behaviour is no longer the one that this file describes" >&2
  exit 1
}
