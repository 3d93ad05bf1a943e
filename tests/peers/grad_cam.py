"""Grad-CAM of a classifier in PyTorch, by hooks on its last stage, and the logits of images with their mirror images.

    python tests/peers/grad_cam.py MODELING MODEL INPUT OUTPUT

INPUT holds `images` [n, height, width, channels], normalised, and `classes` [n]; OUTPUT gets `maps` [n, h, w] and
`flipped` [n, classes], the mean logits of each image and its mirror image.
"""

import importlib.util
import sys

import torch
from safetensors.torch import load_file, save_file

modeling, directory, source, target = sys.argv[1:]
spec = importlib.util.spec_from_file_location("modeling_gmnm", modeling)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
model, _ = module.load(directory)
given = load_file(source)
images = given["images"].permute(0, 3, 1, 2)

seen = {}
stage = model.stages[-1]
stage.register_forward_hook(lambda _, __, output: seen.update(activations=output))
stage.register_full_backward_hook(lambda _, __, gradients: seen.update(gradients=gradients[0]))
maps = []
# One by one: no image may see another.
for image, chosen in zip(images, given["classes"]):
    model.zero_grad()
    model(image[None].requires_grad_())[0, int(chosen)].backward()
    weights = seen["gradients"].mean((2, 3), keepdim=True)
    maps.append(torch.relu((weights * seen["activations"]).sum(1))[0].detach())
with torch.no_grad():
    flipped = (model(images) + model(images.flip(3))) / 2
save_file({"maps": torch.stack(maps).contiguous(), "flipped": flipped.contiguous()}, target)
