"""The networks of the zoo in PyTorch: one file that needs torch and safetensors only.

    from modeling_gmnm import load

    model, config = load("path/to/model")      # a directory with config.json and model.safetensors
    logits = model(images)                     # normalised images, [batch, channels, height, width]

The names and shapes of the parameters are those of the file, so `load_state_dict(strict=True)` takes it as it is.
"""

import json
import math
import pathlib

import torch
import torch.nn.functional as F
from torch import nn

ACTIVATIONS = {
    "identity": lambda x: x,
    "relu": F.relu,
    "gelu": F.gelu,
    "silu": F.silu,
}


class Gmnm(nn.Module):
    """G(x)[o] = sum_m weight[o,m] exp(-y[m]^2 / 2) + bias[o] over the last axis (arXiv 2510.06660).

    p[m,r] = projections[m,r] . (x - centers[m]); y^2 = sum_r p^2 ("norm") or y = sum_r p ("sum").
    """

    def __init__(self, inputs, outputs, components, projections=1, aggregation="norm"):
        super().__init__()
        self.aggregation = aggregation
        self.centers = nn.Parameter(torch.randn(components, inputs))
        scale = 1 / math.sqrt(2 * inputs * projections)
        self.projections = nn.Parameter(torch.randn(components, projections, inputs) * scale)
        self.weight = nn.Parameter(torch.randn(outputs, components) / math.sqrt(components))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x):
        offset = (self.projections * self.centers[:, None]).sum(-1)
        p = torch.einsum("...d,mrd->...mr", x, self.projections) - offset
        if self.aggregation == "norm":
            y2 = p.square().sum(-1)
        else:
            y2 = p.sum(-1).square()
        return F.linear(torch.exp(-y2 / 2), self.weight, self.bias)


class Mlp(nn.Module):
    """Two linear layers with GELU between them."""

    def __init__(self, inputs, outputs, hidden):
        super().__init__()
        self.fc1 = nn.Linear(inputs, hidden)
        self.fc2 = nn.Linear(hidden, outputs)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class BatchNorm(nn.Module):
    """Batch normalisation of the second axis, or of the last where `last`; it counts no batches."""

    def __init__(self, channels, scale=True, shift=True, momentum=0.1, last=False):
        super().__init__()
        self.last, self.momentum = last, momentum
        self.weight = nn.Parameter(torch.ones(channels)) if scale else None
        self.bias = nn.Parameter(torch.zeros(channels)) if shift else None
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x):
        flat = x.flatten(0, -2) if self.last else x
        statistics = (self.running_mean, self.running_var)
        y = F.batch_norm(flat, *statistics, self.weight, self.bias, self.training, self.momentum)
        return y.view_as(x)


class ChannelMixer(nn.Module):
    """A function of the channels of each pixel, on [n, c, h, w]."""

    def __init__(self, config, stage, channels):
        super().__init__()
        self.placement = config["placement"]
        if config["normalize_input"]:
            self.norm = BatchNorm(channels, scale=False, shift=False, last=True)
        else:
            self.norm = nn.Identity()
        ((kind, function),) = config["function"].items()
        if kind == "gmnm":
            function = Gmnm(
                channels,
                channels,
                function["components"][stage],
                function["projections"],
                function["aggregation"],
            )
            # The parameters stand directly under the mixer's name.
            self.centers, self.projections = function.centers, function.projections
            self.weight, self.bias = function.weight, function.bias
            self.aggregation = function.aggregation
            self.mix = lambda x: Gmnm.forward(self, x)
        else:
            function = Mlp(channels, channels, function["hidden"][stage])
            self.fc1, self.fc2 = function.fc1, function.fc2
            self.mix = lambda x: Mlp.forward(self, x)

    def forward(self, x):
        pixels = x.permute(0, 2, 3, 1)
        pooled = self.placement == "pooled-gate"
        mixed = self.mix(self.norm(pixels.mean((1, 2)) if pooled else pixels))
        if self.placement == "residual":
            pixels = pixels + mixed
        elif self.placement == "gate":
            pixels = pixels * (1 + mixed)
        elif self.placement == "activation":
            pixels = pixels * (0.5 + mixed)
        else:
            pixels = pixels * (1 + mixed)[:, None, None]
        return pixels.permute(0, 3, 1, 2)


class Attention(nn.Module):
    """x + projection(attention(norm(x))) over the pixels of [n, c, h, w]."""

    def __init__(self, config, channels):
        super().__init__()
        self.heads = config["heads"]
        self.norm = BatchNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        if "components" in config:
            self.proj = Gmnm(channels, channels, config["components"])
        else:
            self.proj = nn.Linear(channels, channels)

    def forward(self, x):
        n, c, h, w = x.shape
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in self.qkv(tokens).chunk(3, -1))
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return x + self.proj(mixed).transpose(1, 2).unflatten(-1, (h, w))


class Whitening(nn.Module):
    """A fixed convolution that whitens patches, a bias and an activation."""

    def __init__(self, config, channels, activation):
        super().__init__()
        kernel = config["kernel"]
        self.features = 2 * channels * kernel**2
        self.register_buffer("whitening", torch.zeros(self.features, channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(self.features))
        self.activation = ACTIVATIONS[activation]

    def forward(self, x):
        return self.activation(F.conv2d(x, self.whitening, self.bias))


class ConvNorm(nn.Module):
    """A 3x3 convolution, batch norm, an activation, and pooling by 2 where `pool`: before the norm where `shift`."""

    def __init__(self, inputs, outputs, activation, pool, shift):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn = BatchNorm(outputs, scale=False, momentum=0.4) if shift else BatchNorm(outputs)
        self.activation = ACTIVATIONS[activation]
        self.pool, self.shift = pool, shift

    def forward(self, x):
        x = self.conv(x)
        if self.pool and self.shift:
            x = F.max_pool2d(x, 2)
        x = self.activation(self.bn(x))
        return F.max_pool2d(x, 2) if self.pool and not self.shift else x


class Stage(nn.Module):
    """The convolutions of one width, the first of them pooled, and a mixer."""

    def __init__(self, config, stage, inputs):
        super().__init__()
        width, convs, mixer = config["widths"][stage], config["convs"], config.get("mixer")
        replaced = mixer is not None and mixer["placement"] == "activation"
        self.convs = nn.Sequential()
        for i in range(convs):
            last = i + 1 == convs
            activation = "identity" if last and replaced else config["activation"]
            shift = config.get("normalization") == "shift"
            self.convs.append(ConvNorm(inputs if i == 0 else width, width, activation, i == 0, shift))
        self.mixer = ChannelMixer(mixer, stage, width) if mixer else nn.Identity()
        self.residual = config.get("residual", False)

    def forward(self, x):
        first = self.convs[0](x)
        x = self.convs[1:](first)
        return self.mixer(x + first if self.residual else x)


class Classifier(nn.Module):
    """Images [n, c, h, w] to logits [n, classes]."""

    def __init__(self, config):
        super().__init__()
        widths = [config["channels"], *config["widths"]]
        self.stem = nn.Identity()
        if "stem" in config:
            self.stem = Whitening(config["stem"], config["channels"], config["activation"])
            widths[0] = self.stem.features
        self.stages = nn.Sequential(*(Stage(config, s, c) for s, c in enumerate(widths[:-1])))
        self.attention = Attention(config["attention"], widths[-1]) if "attention" in config else nn.Identity()
        self.largest = config.get("head") == "max"
        self.head = nn.Linear(widths[-1], config["classes"], bias=not self.largest)
        self.logit_scale = config["logit_scale"]

    def forward(self, images):
        features = self.attention(self.stages(self.stem(images)))
        pooled = features.amax((2, 3)) if self.largest else features.mean((2, 3))
        return self.head(pooled) * self.logit_scale


class Halve(nn.Module):
    """A convolution that halves height and width, or doubles them where `transpose`, batch norm and an activation."""

    def __init__(self, inputs, outputs, activation, transpose):
        super().__init__()
        conv = nn.ConvTranspose2d if transpose else nn.Conv2d
        self.conv = conv(inputs, outputs, 4, stride=2, padding=1, bias=False)
        self.bn = BatchNorm(outputs)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x):
        return self.activation(self.bn(self.conv(x)))


class Generator(nn.Module):
    """Images [n, c, h, w] to their reconstructions."""

    def __init__(self, config):
        super().__init__()
        widths = [config["channels"], *config["widths"]]
        back = [*reversed(config["widths"]), config["features"]]
        activation, latent = config["activation"], config["latent"]
        step = 2 ** len(config["widths"])
        self.smallest = (config["height"] // step, config["width"] // step, widths[-1])
        self.full = (config["height"], config["width"], config["features"])
        flat = math.prod(self.smallest)
        self.encoder = nn.Sequential(*(Halve(i, o, activation, False) for i, o in zip(widths, widths[1:])))
        self.to_latent = nn.Linear(flat, latent)
        self.from_latent = nn.Linear(latent, flat)
        self.decoder = nn.Sequential(*(Halve(i, o, activation, True) for i, o in zip(back, back[1:])))
        self.gate, self.normalize_gate = None, False
        if "gate" in config:
            gate = config["gate"]
            self.normalize_gate = gate.get("normalize_input", False)
            outputs = math.prod(self.full)
            self.gate = Gmnm(latent, outputs, gate["components"], gate["projections"], gate["aggregation"])
        self.output = nn.Conv2d(config["features"], config["channels"], 3, padding=1)
        # The Gaussian of the training images' latent vectors: its mean, and L of its covariance L L^T.
        self.register_buffer("latent_mean", torch.zeros(latent))
        self.register_buffer("latent_factor", torch.zeros(latent, latent))

    def encode(self, images):
        return self.to_latent(self.encoder(images).permute(0, 2, 3, 1).flatten(1))

    def decode(self, latent):
        x = self.from_latent(latent).unflatten(1, self.smallest).permute(0, 3, 1, 2)
        x = self.decoder(x)
        if self.gate is not None:
            latent = F.layer_norm(latent, latent.shape[-1:]) if self.normalize_gate else latent
            x = x * (1 + self.gate(latent)).unflatten(1, self.full).permute(0, 3, 1, 2)
        return self.output(x)

    def sample(self, count):
        noise = torch.randn(count, self.latent_mean.numel())
        return self.decode(self.latent_mean + noise @ self.latent_factor.T)

    def forward(self, images):
        return self.decode(self.encode(images))


class Head(nn.Module):
    """Hidden values to a segment: a linear map, a mixture or perceptron of the normalised values, or the sum."""

    def __init__(self, config, hidden, segment):
        super().__init__()
        ((kind, own),) = config.items() if isinstance(config, dict) else (("linear", {"linear": True}),)
        self.linear = nn.Linear(hidden, segment) if own["linear"] else None
        self.mixture = self.mlp = None
        if kind == "gmnm":
            self.mixture = Gmnm(hidden, segment, own["components"], own["projections"], own["aggregation"])
        elif kind == "mlp":
            self.mlp = Mlp(hidden, segment, own["hidden"])

    def forward(self, x):
        mixer = self.mixture or self.mlp
        y = self.linear(x) if self.linear else 0
        return y + mixer(F.layer_norm(x, x.shape[-1:])) if mixer else y


class Recurrent(nn.Module):
    """SegRNN with an LSTM: [n, channels, look_back] to [n, channels, horizon], each channel on its own."""

    def __init__(self, config, own):
        super().__init__()
        self.segment, hidden = own["segment"], own["hidden"]
        self.horizon = config["horizon"]
        self.segments = math.ceil(self.horizon / self.segment)
        self.mixed = "embed_components" in own
        if self.mixed:
            self.embed = Gmnm(self.segment, hidden, own["embed_components"])
        else:
            self.embed = nn.Linear(self.segment, hidden)
        self.lstm = nn.LSTM(hidden, hidden, batch_first=True)
        self.position = nn.Parameter(torch.randn(self.segments, hidden // 2))
        self.channel = nn.Parameter(torch.randn(config["channels"], hidden // 2))
        self.head = Head(own["head"], hidden, self.segment)

    def forward(self, x):
        n, channels, _ = x.shape
        embedded = self.embed(x.unflatten(-1, (-1, self.segment)).flatten(0, 1))
        _, state = self.lstm(embedded if self.mixed else F.relu(embedded))
        position = self.position.repeat(channels, 1)
        channel = self.channel.repeat_interleave(self.segments, 0)
        queries = torch.cat([position, channel], -1).repeat(n, 1)[:, None]
        state = tuple(s.repeat_interleave(self.segments, 1) for s in state)
        written, _ = self.lstm(queries, state)
        return self.head(written[:, 0]).view(n, channels, -1)[..., : self.horizon]


class Decomposition(nn.Module):
    """DLinear: linear maps of a moving average and of what is left, on [n, channels, look_back]."""

    def __init__(self, config, own):
        super().__init__()
        self.window = own["window"]
        self.seasonal = nn.Linear(config["look_back"], config["horizon"])
        self.trend = nn.Linear(config["look_back"], config["horizon"])

    def forward(self, x):
        side = self.window // 2
        trend = F.avg_pool1d(F.pad(x, (side, side), mode="replicate"), self.window, stride=1)
        return self.seasonal(x - trend) + self.trend(trend)


class StepByStep(nn.Module):
    """An LSTM over single steps and a linear map of its last hidden values, on [n, channels, look_back]."""

    def __init__(self, config, own):
        super().__init__()
        self.channels = config["channels"]
        self.lstm = nn.LSTM(self.channels, own["hidden"], batch_first=True)
        self.output = nn.Linear(own["hidden"], config["horizon"] * self.channels)

    def forward(self, x):
        _, (hidden, _) = self.lstm(x.transpose(1, 2))
        return self.output(hidden[0]).unflatten(-1, (-1, self.channels)).transpose(1, 2)


FORECASTERS = {"recurrent": Recurrent, "decomposition": Decomposition, "lstm": StepByStep}


class Forecaster(nn.Module):
    """Scaled values [n, look_back, channels] to the next [n, horizon, channels]."""

    def __init__(self, config):
        super().__init__()
        self.normalization = config["normalization"]
        ((kind, own),) = config["network"].items()
        network = FORECASTERS[kind](config, own)
        # The parameters stand directly under the model.
        for name, module in network.named_children():
            setattr(self, name, module)
        for name, parameter in network.named_parameters(recurse=False):
            setattr(self, name, parameter)
        self.network = [network]

    def forward(self, x):
        x = x.transpose(1, 2)
        shift, scale = 0, 1
        if self.normalization == "last":
            shift = x[..., -1:]
        elif self.normalization in ("mean", "mean-std"):
            shift = x.mean(-1, keepdim=True)
        if self.normalization == "mean-std":
            scale = (x.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt()
        y = self.network[0]((x - shift) / scale) * scale + shift
        return y.transpose(1, 2)


class Spline(nn.Module):
    """A learned function on every edge: b silu(x) + sum_j c_j B_j(x), cubic B-splines on a uniform grid."""

    def __init__(self, inputs, outputs, grid):
        super().__init__()
        self.low, self.intervals = grid["low"], grid["intervals"]
        self.step = (grid["high"] - grid["low"]) / grid["intervals"]
        self.base_weight = nn.Parameter(torch.zeros(outputs, inputs))
        self.spline_weight = nn.Parameter(torch.zeros(outputs, inputs, self.intervals + 3))

    def basis(self, x):
        """B_j(x) for all j by the recursion of Cox and de Boor."""
        knots = self.low + self.step * torch.arange(-3, self.intervals + 4, dtype=x.dtype)
        x = x[..., None]
        b = ((x >= knots[:-1]) & (x < knots[1:])).to(x.dtype)
        for k in range(1, 4):
            left = (x - knots[: -k - 1]) / (knots[k:-1] - knots[: -k - 1])
            right = (knots[k + 1 :] - x) / (knots[k + 1 :] - knots[1:-k])
            b = left * b[..., :-1] + right * b[..., 1:]
        return b

    def forward(self, x):
        splines = torch.einsum("nij,oij->no", self.basis(x), self.spline_weight)
        return F.linear(F.silu(x), self.base_weight) + splines


class Field(nn.Module):
    """Points [n, 2] to numbers [n, 1]."""

    def __init__(self, config):
        super().__init__()
        self.tanh = config["function"] == "mlp"
        widths = [2, *config["hidden"], 1]
        pairs = list(zip(widths, widths[1:]))
        if config["function"] == "gmnm":
            shapes = zip(pairs, config["components"], config["projections"])
            layers = [Gmnm(*pair, m, r, config["aggregation"]) for pair, m, r in shapes]
        elif config["function"] == "mlp":
            layers = [nn.Linear(*pair) for pair in pairs]
        else:
            layers = [Spline(*pair, grid) for pair, grid in zip(pairs, config["grids"])]
        self.layers = nn.ModuleList(layers)

    def forward(self, x):
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if self.tanh and i + 1 < len(self.layers):
                x = torch.tanh(x)
        return x


ARCHITECTURES = {
    "classifier": Classifier,
    "generator": Generator,
    "forecaster": Forecaster,
    "surface": Field,
    "poisson": Field,
}


def load(directory):
    """The network in `directory` with its weights, in evaluation mode, and its config.json."""
    from safetensors.torch import load_file

    directory = pathlib.Path(directory)
    config = json.loads((directory / "config.json").read_text())
    model = ARCHITECTURES[config["architecture"]](config)
    state = load_file(directory / "model.safetensors")
    if any(tensor.dtype == torch.float64 for tensor in state.values()):
        model.double()
    model.load_state_dict(state, strict=True)
    return model.eval(), config
