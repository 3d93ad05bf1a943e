"""Prints how long `zoo` takes for each work beside PyTorch on this machine: alternating, medians of the rounds.

    python tests/peers/ratios.py [--zoo target/release/zoo] [--device cpu|cuda] [--rounds 3] [--seconds 4]
        [--threads 2] [--minimum] [WORK ...]

PyTorch runs each work channels-last and not, with the allocator's default and with retained pages; the ratio is
taken against its fastest form. `WORK:bf16` sets it beside PyTorch's autocast to bf16, else it stands beside f32. Three
smaller tables follow: the classifier with its mixtures against the plain one, memory beyond inputs and outputs, and the
gain of a second thread. On a GPU, for a `zoo` that was built for it, PyTorch runs channels-last, eager and compiled, all
works of a form in one process, and a mixture's forward stands beside its two matrix products alone. On a machine that is
not idle, `--minimum` compares each side's fastest run.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
# A work, or a work and what PyTorch computes its own in.
WORKS = [
    "cnn-train-f32",
    "cnn-train-bf16:bf16",
    "cnn-train-bf16:f32",
    "cnn-train-bf16x3:f32",
    "cnn-forward-128",
    "cnn-forward-1",
    "mixture-4096-64-64-1",
    "mixture-4096-64-64-4",
    "mixture-65536-64-64-1",
    "mixture-65536-64-64-4",
    "lstm-96-128-64",
]
# Only processors split factors; a mixture's forward stands beside its two matrix products alone.
GPU_WORKS = [work for work in WORKS if "bf16x3" not in work] + ["products-65536-64-64-1", "products-65536-64-64-4"]
RETAIN = {"MALLOC_MMAP_THRESHOLD_": str(1 << 33), "MALLOC_TRIM_THRESHOLD_": str(1 << 33)}


class Measure:
    """Runs either side in a process of its own and picks one number of each report."""

    def __init__(self, options):
        self.options = options
        self.key = "minimum" if options.minimum else "milliseconds"

    def command(self, command, env):
        done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
        return json.loads(done.stdout.splitlines()[-1])

    def zoo(self, work, threads=None):
        threads = str(threads or self.options.threads)
        command = [self.options.zoo, "--quiet", "--threads", threads, "bench", work, "--format", "jsonl"]
        return self.command([*command, "--device", self.options.device, *self.seconds()], {})

    def seconds(self):
        return ["--seconds", str(self.options.seconds)]

    def torch(self, work, layout="nhwc", env=RETAIN, dtype="f32", more=()):
        script = [sys.executable, str(HERE / "torch_work.py"), work, "--layout", layout, "--dtype", dtype]
        return self.command(
            [
                *script,
                *("--device", self.options.device, "--threads", str(self.options.threads)),
                *self.seconds(),
                *more,
            ],
            env,
        )

    def torch_all(self, works, more):
        """Milliseconds of each work on the GPU, from one process."""
        script = [sys.executable, str(HERE / "torch_work.py"), *works, "--device", "cuda", *self.seconds(), *more]
        done = subprocess.run(script, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"`{' '.join(script)}` failed: {done.stderr.strip()}")
        return [json.loads(line)[self.key] for line in done.stdout.splitlines()]

    def rounds(self, forms):
        """Calls every form once a round; the median of each, by its name."""
        runs = {name: [] for name in forms}
        for _ in range(self.options.rounds):
            for name, form in forms.items():
                runs[name].append(form())
        median = lambda name, key: statistics.median(run[key] for run in runs[name])
        return {name: (median(name, self.key), median(name, "peak_mib")) for name in forms}


def torch_forms(measure, work, dtype):
    layouts = {"nhwc": "channels-last", "nchw": "channels-first"} if work.startswith("cnn") else {"nhwc": ""}
    for layout, words in layouts.items():
        for pages, env in (("default pages", {}), ("retained pages", RETAIN)):
            yield f"{words}, {pages}".lstrip(", "), lambda layout=layout, env=env: measure.torch(work, layout, env, dtype)


HEAD = "| work | zoo ms | PyTorch ms (its fastest form) | ratio |"


def against_torch(measure, works):
    print(f"{HEAD} zoo MiB | PyTorch MiB |\n|---|---|---|---|---|---|")
    for work in works:
        work, _, dtype = work.partition(":")
        dtype = dtype or "f32"
        forms = {"zoo": lambda: measure.zoo(work), **dict(torch_forms(measure, work, dtype))}
        results = measure.rounds(forms)
        ours, our_peak = results.pop("zoo")
        form, (theirs, their_peak) = min(results.items(), key=lambda item: item[1][0])
        print(
            f"| `{work}` | {ours:.2f} | {theirs:.2f} ({dtype}, {form}) | {ours / theirs:.2f} "
            f"| {our_peak:.0f} | {their_peak:.0f} |",
            flush=True,
        )


def against_torch_on_gpu(measure, works):
    """Rounds over all works, as PyTorch takes seconds to start there and more to compile."""
    ours, theirs = {work: [] for work in works}, {work: {} for work in works}
    for _ in range(measure.options.rounds):
        for words, more in (("eager", []), ("compiled", ["--compiled"])):
            for work, milliseconds in zip(works, measure.torch_all(works, more)):
                theirs[work].setdefault(words, []).append(milliseconds)
        for work in works:
            ours[work].append(measure.zoo(our_name(work))[measure.key])
    print(f"{HEAD}\n|---|---|---|---|")
    for work in works:
        mine = statistics.median(ours[work])
        times = {form: statistics.median(runs) for form, runs in theirs[work].items()}
        form, other = min(times.items(), key=lambda item: item[1])
        if work.startswith("products"):
            form = f"its two products, {form}"
        dtype = work.partition(":")[2] or "f32"
        print(f"| `{our_name(work)}` | {mine:.3f} | {other:.3f} ({dtype}, {form}) | {mine / other:.2f} |", flush=True)


def our_name(work):
    """What `zoo` measures beside a work of PyTorch's."""
    return work.partition(":")[0].replace("products-", "mixture-forward-")


def mixtures_in_the_classifier(measure):
    names = ["classifier-train", "classifier-plain-train"]
    results = measure.rounds({name: lambda name=name: measure.zoo(name) for name in names})
    mixed, plain = (results[name][0] for name in names)
    print("\n| `classifier-train` ms | `classifier-plain-train` ms | ratio |\n|---|---|---|")
    print(f"| {mixed:.1f} | {plain:.1f} | {mixed / plain:.2f} |", flush=True)


def memory_beyond_inputs_and_outputs(measure, rows=65536, features=64, components=64, outputs=64):
    """What x, its gradient, the output and the gradient of the output take is known, and a run of 64 rows shows what
    the process itself takes."""
    known = 4 * rows * 2 * (features + outputs) / 2**20
    print("\n| mixture, beyond inputs and outputs | zoo MiB | PyTorch MiB | ratio |\n|---|---|---|---|")
    for projections in (1, 4):
        shape = f"{features}-{components}-{projections}"
        beyond = {}
        for side, run in (("zoo", measure.zoo), ("torch", lambda work: measure.torch(work, env={}))):
            forms = {n: lambda n=n: run(f"mixture-{n}-{shape}") for n in (64, rows)}
            peaks = measure.rounds(forms)
            beyond[side] = peaks[rows][1] - peaks[64][1] - known
        print(
            f"| `mixture-{rows}-{shape}` | {beyond['zoo']:.0f} | {beyond['torch']:.0f} "
            f"| {beyond['zoo'] / beyond['torch']:.2f} |",
            flush=True,
        )


def second_thread(measure):
    forms = {n: lambda n=n: measure.zoo("cnn-train-f32", threads=n) for n in (1, 2)}
    results = measure.rounds(forms)
    print("\n| `cnn-train-f32`, 1 thread, ms | 2 threads, ms | gain |\n|---|---|---|")
    print(f"| {results[1][0]:.1f} | {results[2][0]:.1f} | {results[1][0] / results[2][0]:.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("works", nargs="*", metavar="WORK", help="left out: all, and the smaller tables")
    parser.add_argument("--zoo", default="target/release/zoo")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--seconds", type=float, default=4, help="of each run")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--minimum", action="store_true", help="compare the fastest runs, not the medians")
    options = parser.parse_args()
    measure = Measure(options)
    if options.device == "cuda":
        against_torch_on_gpu(measure, options.works or GPU_WORKS)
        return
    against_torch(measure, options.works or WORKS)
    if not options.works:
        mixtures_in_the_classifier(measure)
        memory_beyond_inputs_and_outputs(measure)
        second_thread(measure)


if __name__ == "__main__":
    main()
