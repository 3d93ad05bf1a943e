"""Prints the figures of a classifier as scikit-learn and torchmetrics give them, from what `zoo eval --report` wrote.

    python tests/peers/figures.py REPORT/predictions.csv
"""

import csv
import json
import sys
import warnings

import numpy as np
import torch
from sklearn import metrics
from torchmetrics.classification import MulticlassCalibrationError

# Classes without examples are asked for on purpose.
warnings.filterwarnings("ignore")

with open(sys.argv[1], newline="", encoding="utf-8") as file:
    rows = list(csv.DictReader(file))
names = [key.removeprefix("p:") for key in rows[0] if key.startswith("p:")]
labels = np.array([names.index(row["label"]) for row in rows])
predicted = np.array([names.index(row["predicted"]) for row in rows])
probabilities = np.array([[float(row[f"p:{name}"]) for name in names] for row in rows])
classes = list(range(len(names)))


def averages(kind):
    values = metrics.precision_recall_fscore_support(labels, predicted, average=kind, zero_division=0)
    return dict(zip(["precision", "recall", "f1"], values[:3]))


each = metrics.precision_recall_fscore_support(labels, predicted, labels=classes, zero_division=0)
error = MulticlassCalibrationError(num_classes=len(names), n_bins=15, norm="l1")
print(
    json.dumps(
        {
            "accuracy": metrics.accuracy_score(labels, predicted),
            "balanced_accuracy": metrics.balanced_accuracy_score(labels, predicted),
            "classes": [
                {"name": name, "precision": p, "recall": r, "f1": f, "examples": int(count)}
                for name, p, r, f, count in zip(names, *each)
            ],
            "confusion": metrics.confusion_matrix(labels, predicted, labels=classes).tolist(),
            "macro": averages("macro"),
            "weighted": averages("weighted"),
            "top_k": [
                {"k": k, "accuracy": metrics.top_k_accuracy_score(labels, probabilities, k=k, labels=classes)}
                for k in (2, 3, 5)
                if k < len(names)
            ],
            "calibration": {
                "log_loss": metrics.log_loss(labels, probabilities, labels=classes),
                "brier": metrics.brier_score_loss(labels, probabilities, labels=classes, scale_by_half=False),
                "ece": error(torch.tensor(probabilities), torch.tensor(labels)).item(),
            },
        }
    )
)
