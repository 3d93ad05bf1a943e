"""Computes a network's outputs in PyTorch, to hold the Rust ones against.

    python outputs.py MODELING_GMNM.PY MODEL_DIR INPUTS.safetensors OUTPUTS.safetensors

INPUTS holds `input`, images as [n, h, w, c]; OUTPUTS receives `output`.
"""

import importlib.util
import sys

import torch
from safetensors.torch import load_file, save_file


def main():
    source, directory, inputs, outputs = sys.argv[1:]
    spec = importlib.util.spec_from_file_location("modeling_gmnm", source)
    modeling = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(modeling)
    model, _ = modeling.load(directory)
    x = load_file(inputs)["input"]
    images = x.ndim == 4
    with torch.no_grad():
        y = model(x.permute(0, 3, 1, 2).contiguous() if images else x)
    if y.ndim == 4:
        y = y.permute(0, 2, 3, 1)
    save_file({"output": y.contiguous()}, outputs)


if __name__ == "__main__":
    main()
