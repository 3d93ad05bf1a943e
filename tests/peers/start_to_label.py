"""Times one image from the start of the process to its label: `zoo infer` with its embedded weights beside a fresh
Python with PyTorch, Pillow and modeling_gmnm.py. Prints one JSON object with the medians in seconds.

    python tests/peers/start_to_label.py IMAGE [--model cifar-classifier] [--zoo target/release/zoo] [--runs 10]

Both load the same weights, decode the same image and must name the same label. The runs alternate; the first of each
side, which fills the caches of the system, is not counted. Bytecode of Python's modules is cached as usual.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def label(directory, image):
    """Python's side, in a process of its own."""
    import torch
    from PIL import Image, ImageOps

    sys.path.insert(0, str(ROOT / "models" / "python"))
    from modeling_gmnm import load

    model, config = load(directory)
    prepared = json.loads((pathlib.Path(directory) / "preprocessor_config.json").read_text())
    size = prepared["crop_size" if prepared["do_center_crop"] else "size"]
    size = (size["width"], size["height"])
    picture = Image.open(image).convert("RGB" if config["channels"] == 3 else "L")
    picture = ImageOps.fit(picture, size, Image.BILINEAR)
    pixels = torch.tensor(list(picture.tobytes()), dtype=torch.float32).view(size[1], size[0], -1) / 255
    mean, std = torch.tensor(prepared["image_mean"]), torch.tensor(prepared["image_std"])
    with torch.inference_mode():
        logits = model(((pixels - mean) / std).permute(2, 0, 1)[None])
    print(config["labels"][int(logits.argmax())])


def timed(command):
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        sys.exit(f"{command[0]} failed: {done.stderr.strip()}")
    return seconds, done.stdout.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image")
    parser.add_argument("--model", default="cifar-classifier")
    parser.add_argument("--zoo", default=str(ROOT / "target" / "release" / "zoo"))
    parser.add_argument("--runs", type=int, default=10)
    args = parser.parse_args()
    directory = ROOT / "weights" / args.model
    ours = [args.zoo, "infer", args.model, args.image, "--format", "jsonl", "--quiet"]
    theirs = [sys.executable, __file__, "--label", str(directory), args.image]
    seconds = {"zoo": [], "python": []}
    for run in range(args.runs + 1):
        a, out = timed(ours)
        b, name = timed(theirs)
        found = json.loads(out)["predictions"][0]["label"]
        if found != name:
            sys.exit(f"zoo says `{found}`, Python `{name}`")
        if run > 0:
            seconds["zoo"].append(a)
            seconds["python"].append(b)
    medians = {side: round(statistics.median(values), 4) for side, values in seconds.items()}
    print(json.dumps({"label": found, "runs": args.runs, **medians}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--label"]:
        label(*sys.argv[2:])
    else:
        main()
