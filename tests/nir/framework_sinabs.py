"""Builds random nets with Sinabs, exports them with its own exporter, and stores what they did. Runs in Sinabs's own venv.

Arguments: a folder, and the number of nets. For every net k: `k.nir`, and `k.npz` with the input raster, the dialect and the
spikes of every spiking module under its NIR name.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nir
import numpy as np
import sinabs.layers as sl
import torch
from sinabs.activation import SingleSpike
from sinabs.nir import to_nir

STEPS = 100


def neuron(rng, kind):
    """One spike a step (NIR cannot say more), IAF with the floor that Sinabs's importer gives it."""
    threshold = float(rng.uniform(0.5, 1.5))
    if kind == "IAF":
        return sl.IAFSqueeze(spike_threshold=torch.tensor(threshold), spike_fn=SingleSpike, min_v_mem=-threshold, batch_size=1)
    tau = torch.tensor(float(rng.uniform(1.5, 20.0)))
    return sl.LIFSqueeze(
        tau_mem=tau, spike_threshold=torch.tensor(threshold), spike_fn=SingleSpike, norm_input=False, batch_size=1
    )


def dense_net(rng):
    sizes = [int(rng.integers(4, 12))]
    layers = []
    for _ in range(int(rng.integers(1, 4))):
        sizes.append(int(rng.integers(4, 16)))
        linear = torch.nn.Linear(sizes[-2], sizes[-1], bias=bool(rng.random() < 0.6))
        torch.nn.init.normal_(linear.weight, 0.05, 0.5)
        layers += [linear, neuron(rng, str(rng.choice(["IAF", "LIF"])))]
    return torch.nn.Sequential(*layers), (sizes[0],)


def conv_net(rng):
    channels, out = int(rng.integers(2, 5)), int(rng.integers(2, 4))
    first = torch.nn.Conv2d(2, channels, (3, 2), stride=(1, 2), padding=(1, 0), bias=bool(rng.random() < 0.5))
    second = torch.nn.Conv2d(channels, out, 3, padding=1, bias=True)
    linear = torch.nn.Linear(out * 4 * 2, 5)
    for layer, spread in ((first, 0.4), (second, 0.3), (linear, 0.4)):
        torch.nn.init.normal_(layer.weight, 0.05, spread)
    layers = [
        first,
        neuron(rng, "IAF"),
        sl.SumPool2d(2),
        second,
        neuron(rng, "IAF"),
        torch.nn.Flatten(),
        linear,
        neuron(rng, "IAF"),
    ]
    return torch.nn.Sequential(*layers), (2, 8, 8)


def run(net, raster):
    """Spikes (steps, *shape) of every spiking module, by its name."""
    recorded = {}
    hooks = []
    for name, module in net.named_children():
        if isinstance(module, sl.StatefulLayer):
            module.reset_states()
            keep = lambda module, args, out, name=name: recorded.__setitem__(name, out.detach().numpy().astype(np.uint8))  # noqa: E731
            hooks.append(module.register_forward_hook(keep))
    with torch.no_grad():
        net(raster)
    for hook in hooks:
        hook.remove()
    return recorded


def main(folder, count):
    for k in range(count):
        rng = np.random.default_rng(k)
        torch.manual_seed(k)
        net, shape = (conv_net if k % 4 == 3 else dense_net)(rng)
        raster = (rng.random((STEPS, *shape)) < 0.3).astype(np.float32)
        with torch.no_grad():
            net(torch.from_numpy(raster[:1]))  # gives the layers their shapes
        graph = to_nir(net, torch.from_numpy(raster[:1]))
        graph.infer_types()  # fills in the shapes of convolutions and pools, which Sinabs leaves out
        nir.write(folder / f"{k}.nir", graph)
        spikes = run(net, torch.from_numpy(raster))
        arrays = {f"spikes/{name}": value for name, value in spikes.items()}
        np.savez(folder / f"{k}.npz", input=raster.astype(np.uint8), dialect="sinabs", dt=1e-3, **arrays)
        print(k, [type(m).__name__ for m in net], {n: int(s.sum()) for n, s in spikes.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
