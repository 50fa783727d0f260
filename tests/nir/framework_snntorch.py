"""Builds random nets with snnTorch, exports them with its own exporter, and stores what they did. Runs in snnTorch's own venv.

Arguments: a folder, and the number of nets. For every net k: `k.nir`, and `k.npz` with the input raster, the dialect that
describes how the net was built, and the spikes of every spiking module under its NIR name.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nir
import numpy as np
import snntorch as snn
import torch
from snntorch.export_nir import export_to_nir

STEPS = 100
DIALECTS = {
    ("zero", False): "snntorch",
    ("subtract", False): "snntorch-subtract",
    ("subtract", True): "snntorch-delayed",
    ("zero", True): "snntorch-delayed-zero",
}


def neuron(rng, kind, size, reset, delay):
    """A layer of spiking neurons. The exporter wants all parameters of one shape, a scalar only with recurrence."""
    shape = size if isinstance(size, tuple) else (size,)
    shape = () if kind.startswith("R") and rng.random() < 0.5 else shape

    def values(low, high):
        return torch.tensor(rng.uniform(low, high, shape), dtype=torch.float32)

    beta, alpha = values(0.3, 0.95), values(0.2, 0.8)
    options = {"threshold": values(0.5, 1.5), "init_hidden": True, "reset_mechanism": reset, "reset_delay": delay}
    if kind == "Leaky":
        return snn.Leaky(beta=beta, **options)
    if kind == "Synaptic":
        return snn.Synaptic(alpha=alpha, beta=beta, **options)
    if kind == "RLeaky":
        return snn.RLeaky(beta=beta, linear_features=size, **options)
    if kind == "RLeaky one to one":
        return snn.RLeaky(beta=beta, V=torch.tensor(rng.normal(0, 0.5, size), dtype=torch.float32), all_to_all=False, **options)
    return snn.RSynaptic(alpha=alpha, beta=beta, linear_features=size, **options)


def dense_net(rng, reset, delay):
    kinds = ["Leaky", "Synaptic", "RLeaky", "RLeaky one to one"]
    kinds += ["RSynaptic"] if delay else []  # with reset_delay=False snnTorch 1.0.0 raises (it resets a local name)
    sizes = [int(rng.integers(4, 12))]
    layers = []
    for _ in range(int(rng.integers(1, 4))):
        sizes.append(int(rng.integers(4, 16)))
        linear = torch.nn.Linear(sizes[-2], sizes[-1], bias=bool(rng.random() < 0.6))
        torch.nn.init.normal_(linear.weight, 0.15, 0.6)
        layers += [linear, neuron(rng, str(rng.choice(kinds)), sizes[-1], reset, delay)]
    return torch.nn.Sequential(*layers), (sizes[0],)


def conv_net(rng, reset, delay):
    channels = int(rng.integers(2, 5))
    conv = torch.nn.Conv2d(2, channels, (3, 3), stride=1, padding=1, bias=bool(rng.random() < 0.5))
    torch.nn.init.normal_(conv.weight, 0.1, 0.4)
    linear = torch.nn.Linear(channels * 16, 5)
    torch.nn.init.normal_(linear.weight, 0.05, 0.3)
    first, last = (neuron(rng, "Leaky", size, reset, delay) for size in ((channels, 8, 8), (5,)))
    return torch.nn.Sequential(conv, first, torch.nn.AvgPool2d(2), torch.nn.Flatten(), linear, last), (2, 8, 8)


def run(net, raster):
    """Spikes (steps, *shape) of every spiking module, by its name in NIR."""
    recorded = {}

    def keep(name):
        return lambda module, args, out: recorded.setdefault(name, []).append(out.detach().numpy()[0])

    hooks = []
    for name, module in net.named_children():
        if isinstance(module, snn.SpikingNeuron):
            nir_name = f"{name}.lif" if isinstance(module, (snn.RLeaky, snn.RSynaptic)) else name
            hooks.append(module.register_forward_hook(keep(nir_name)))
            module.reset_mem()
    with torch.no_grad():
        for row in raster:
            net(row[None])
    for hook in hooks:
        hook.remove()
    return {name: np.array(spikes, np.uint8) for name, spikes in recorded.items()}


def main(folder, count):
    for k in range(count):
        rng = np.random.default_rng(k)
        torch.manual_seed(k)
        reset, delay = list(DIALECTS)[k % 4]
        net, shape = (conv_net if k % 5 == 4 else dense_net)(rng, reset, delay)
        raster = (rng.random((STEPS, *shape)) < 0.3).astype(np.float32)
        graph = export_to_nir(net, torch.from_numpy(raster[:1]), ignore_dims=[0])
        nir.write(folder / f"{k}.nir", graph)
        spikes = run(net, torch.from_numpy(raster))
        arrays = {f"spikes/{name}": value for name, value in spikes.items()}
        np.savez(folder / f"{k}.npz", input=raster.astype(np.uint8), dialect=DIALECTS[reset, delay], **arrays)
        print(k, DIALECTS[reset, delay], [type(m).__name__ for m in net], {n: int(s.sum()) for n, s in spikes.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
