"""Times units of work in PyTorch and prints one JSON object for each.

A name holds its shapes, as in `mixture-ROWS-FEATURES-COMPONENTS-PROJECTIONS` or `lstm-STEPS-HIDDEN-BATCH`. Usage:

    python tests/peers/torch_work.py WORK [WORK ...] [--layout nchw|nhwc] [--dtype f32|bf16] [--device cpu|cuda]
        [--compiled] [--threads N] [--runs N] [--seconds S]

`WORK:bf16` is computed in bf16 whatever `--dtype` says. A process that measures one work alone has a peak memory of its
own.
"""

import argparse
import json
import resource
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F


def block(inputs, outputs, pool):
    layers = [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
    return layers + ([nn.MaxPool2d(2)] if pool else [])


class Cnn(nn.Module):
    """The network of the `cnn-*` works: 64, 64, pool, 128, 128, pool, 256, mean, linear."""

    def __init__(self):
        super().__init__()
        plan = [(3, 64, False), (64, 64, True), (64, 128, False), (128, 128, True), (128, 256, False)]
        self.body = nn.Sequential(*(layer for step in plan for layer in block(*step)))
        self.head = nn.Linear(256, 10)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))


FORM = {"device": "cpu", "compiled": False}


def compiled(model):
    """`model`, by torch.compile where that was asked for."""
    return torch.compile(model) if FORM["compiled"] else model


def memory_format(layout):
    return torch.channels_last if layout == "nhwc" else torch.contiguous_format


def autocast(dtype):
    return torch.autocast(FORM["device"], torch.bfloat16, enabled=dtype == "bf16")


def cnn_train(layout, dtype):
    model = Cnn().to(memory_format=memory_format(layout)).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    x = torch.randn(128, 3, 32, 32).to(memory_format=memory_format(layout))
    y = torch.randint(0, 10, (128,))
    network = compiled(model)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with autocast(dtype):
            loss = F.cross_entropy(network(x), y)
        loss.backward()
        optimizer.step()

    return step


def cnn_forward(batch, layout, dtype):
    model = compiled(Cnn().to(memory_format=memory_format(layout)).eval())
    x = torch.randn(batch, 3, 32, 32).to(memory_format=memory_format(layout))

    def step():
        with torch.inference_mode(), autocast(dtype):
            model(x)

    return step


def mixture(rows, features, components, projections, outputs=64):
    """G(x) = exp(-|W(x - mu)|^2 / 2) pi^T + b as two matrix products, forward and backward."""
    x = torch.randn(rows, features, requires_grad=True)
    centers = torch.randn(components, features, requires_grad=True)
    scale = (2 * features * projections) ** -0.5
    weights = (torch.randn(components, projections, features) * scale).requires_grad_()
    pi = (torch.randn(outputs, components) * components**-0.5).requires_grad_()
    bias = torch.zeros(outputs, requires_grad=True)
    upstream = torch.randn(rows, outputs)
    leaves = [x, centers, weights, pi, bias]

    def forward(x, centers, weights, pi, bias):
        offset = (weights * centers[:, None]).sum(-1).flatten()
        p = torch.addmm(-offset, x, weights.flatten(0, 1).t())
        squared = p.square() if projections == 1 else p.view(rows, components, projections).square().sum(-1)
        return torch.addmm(bias, torch.exp(squared * -0.5), pi.t())

    forward = compiled(forward)

    def step():
        out = forward(*leaves)
        for leaf in leaves:
            leaf.grad = None
        out.backward(upstream)

    return step


def products(rows, features, components, projections, outputs=64):
    """The two matrix products of a mixture's forward, and nothing between them."""
    x = torch.randn(rows, features)
    weights = torch.randn(components * projections, features)
    pi = torch.randn(outputs, components)

    def step():
        with torch.inference_mode():
            (x @ weights.t())[:, :components] @ pi.t()

    return step


def lstm(steps, hidden, batch):
    model = nn.LSTM(hidden, hidden, batch_first=True)
    x = torch.randn(batch, steps, hidden, requires_grad=True)
    upstream = torch.randn(batch, steps, hidden)

    def step():
        model.zero_grad(set_to_none=True)
        x.grad = None
        model(x)[0].backward(upstream)

    return step


def work(name, layout, dtype):
    """The function to time; the shapes stand in the name."""
    if name.startswith("cnn-train"):
        return cnn_train(layout, dtype)
    kind, *numbers = name.removeprefix("cnn-").split("-")
    sizes = [int(n) for n in numbers]
    if kind == "forward":
        return cnn_forward(*sizes, layout, dtype)
    if kind == "mixture":
        return mixture(*sizes)
    if kind == "products":
        return products(*sizes)
    if kind == "lstm":
        return lstm(*sizes)
    raise SystemExit(f"there is no work `{name}`")


def measured(name, options):
    """One work: a run to warm up, one to see how long it takes, and those that are timed."""
    name, _, dtype = name.partition(":")
    with torch.device(options.device):
        once_through = work(name, options.layout, dtype or options.dtype)
    on_gpu = options.device == "cuda"

    def step():
        once_through()
        if on_gpu:
            torch.cuda.synchronize()

    step()
    begun = time.perf_counter()
    step()
    once = time.perf_counter() - begun
    runs = options.runs or max(5, min(200, int(options.seconds / once)))
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        step()
        times.append(1e3 * (time.perf_counter() - begun))
    return {
        "work": name,
        "milliseconds": statistics.median(times),
        "minimum": min(times),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "threads": options.threads,
        "device": torch.cuda.get_device_name() if on_gpu else "cpu",
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("works", nargs="+", metavar="WORK")
    parser.add_argument("--layout", choices=["nchw", "nhwc"], default="nhwc")
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--compiled", action="store_true", help="networks and functions by torch.compile")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=0, help="0: as many as fit in --seconds")
    parser.add_argument("--seconds", type=float, default=4)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    # f32 is f32: PyTorch's convolutions would take TF32, of 10 bits, by default.
    torch.backends.cudnn.allow_tf32 = False
    FORM.update(device=options.device, compiled=options.compiled)
    for name in options.works:
        print(json.dumps(measured(name, options)), flush=True)


if __name__ == "__main__":
    main()
