"""Prints the expected numbers of gmnm-core's `ops::lstm` test: outputs, last hidden values and last cells."""

import torch


def wave(phase, *shape):
    count = torch.Size(shape).numel()
    return torch.sin(torch.arange(count, dtype=torch.float64) + phase).reshape(shape)


model = torch.nn.LSTM(2, 3, batch_first=True, dtype=torch.float64)
model.load_state_dict(
    {
        "weight_ih_l0": wave(1, 12, 2),
        "weight_hh_l0": wave(2, 12, 3),
        "bias_ih_l0": wave(3, 12),
        "bias_hh_l0": wave(4, 12),
    }
)
with torch.inference_mode():
    outputs, (hidden, cell) = model(wave(0, 2, 3, 2))
for value in torch.cat([outputs.flatten(), hidden.flatten(), cell.flatten()]).tolist():
    print(f"{value:.7f},")
