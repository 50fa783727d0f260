"""Corner cases of Loihi's integers as literal values, each on the reference, the CPU kernel and Lava's bit-accurate models.

The rules are those of `facts/lava.md` (measured on lava-nc 0.10.0); the values follow from them by hand, as the comments show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import neurocomp as nc
from neurocomp.backends.lava import Job, LavaBackend, try_jobs
from neurocomp.recording import from_result

SUPPORT = LavaBackend().available()
TARGETS = ("reference", "cpu", "lava")
CLEAR = {"du": 4095, "vth": 131071}  # the current lasts one step, and the threshold is 131071 << 6 = 8388544


@dataclass(frozen=True)
class Corner:
    """A network of one population p fed by x, and what u, v (steps, neurons) and the spikes (step, neuron) must be."""

    build: Callable[[nc.Network], None]
    inputs: Any
    u: list[list[int]] | None = None
    v: list[list[int]] | None = None
    spikes: list[tuple[int, int]] = field(default_factory=list)

    @property
    def record(self) -> list[str]:
        return ["p", *(f"p.{x}" for x in "uv" if getattr(self, x) is not None)]

    @property
    def raster(self) -> Any:
        return {"x": np.array(self.inputs)}


def network(corner: Corner) -> nc.Network:
    net = nc.Network("corner", dt=1e-3)
    corner.build(net)
    return net


def feed(inputs: int, payload: int = 1, initial: Mapping[str, Any] | None = None, *synapses: Any, **neuron: Any) -> Any:
    """x -> p by (weights, delay, LoihiSynapse) triples."""

    def build(net: nc.Network) -> None:
        net.input("x", inputs, max_payload=payload)
        size = len(synapses[0][0])
        reset = neuron.get("reset")
        parameters = {"du": 4095, "dv": 0, **{k: v for k, v in neuron.items() if k != "reset"}}
        net.population("p", nc.LoihiLIF(reset=reset, initial=initial or {}, **parameters), size)
        for weights, delay, synapse in synapses:
            net.connect("x", "p", nc.Dense(weights), delay=delay, loihi=synapse)

    return build


def synapse(exponent: int = 0, bits: int = 8, mode: str | None = None) -> nc.LoihiSynapse:
    return nc.LoihiSynapse(exponent, bits, mode)


SILENT = [[0]] * 3
CORNERS: dict[str, Corner] = {
    # 1024 << 7 << 6 = 2^23 stays; one unit of 64 more is 2^23 + 64 - 2^24. v is cut to 2^23 - 1, above 8388544: it spikes.
    "wrap_above_plus_2_to_the_23": Corner(
        feed(6, 1, None, ([[255, 255, 255, 255, 4, 0]], 1, synapse(7)), ([[0, 0, 0, 0, 0, 1]], 1, synapse()), **CLEAR, dv=4095),
        [[1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, 1], [0] * 6],
        u=[[0], [8388608], [-8388544]],
        v=[[0], [0], [-8388544]],
        spikes=[(1, 0)],
    ),
    # -2^23 itself wraps to +2^23, one unit less negative stays.
    "wrap_at_minus_2_to_the_23": Corner(
        feed(6, 1, None, ([[-255] * 4 + [-4, 0]], 1, synapse(7)), ([[0] * 5 + [1]], 1, synapse()), **CLEAR, dv=4095),
        [[1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, 1], [0] * 6],
        u=[[0], [8388608], [-8388544]],
        v=[[0], [0], [-8388544]],
        spikes=[(1, 0)],
    ),
    # v = -8388544 - 64 would be -2^23; it stops at -(2^23 - 1), and stays there.
    "voltage_is_clamped": Corner(
        feed(1, 1, {"v": -8388544}, ([[-1]], 1, synapse()), **CLEAR),
        [[1], [1], [0]],
        u=[[0], [-64], [-64]],
        v=[[-8388544], [-8388607], [-8388607]],
    ),
    "voltage_is_clamped_above": Corner(  # 8388544 + 128 is cut to 8388607, which is above the threshold
        feed(1, 1, {"v": 8388544}, ([[2]], 1, synapse()), **CLEAR),
        [[1], [0], [0]],
        v=[[8388544], [0], [0]],
        spikes=[(1, 0)],
    ),
    # 5 * 2048 / 4096 = 2.5 becomes 2, -2.5 becomes -2.
    "current_truncates_toward_zero": Corner(
        feed(1, 1, {"u": [5, -5]}, ([[0], [0]], 1, synapse()), du=2047, dv=4095, vth=131071),
        SILENT,
        u=[[2, -2], [1, -1], [0, 0]],
    ),
    "voltage_truncates_toward_zero": Corner(
        feed(1, 1, {"v": [5, -5]}, ([[0], [0]], 1, synapse()), dv=2048, vth=131071),
        SILENT,
        v=[[2, -2], [1, -1], [0, 0]],
    ),
    # In mixed sign mode the lowest bit does not exist: 3 -> 2, -3 -> -4, 255 -> 254, -255 -> -256.
    "mixed_weights_are_even": Corner(
        feed(1, 1, None, ([[3], [-3], [255], [-255]], 1, synapse(mode="mixed")), **CLEAR),
        [[1], [0]],
        u=[[0, 0, 0, 0], [128, -256, 16256, -16384]],
    ),
    "single_signed_weights_keep_their_lowest_bit": Corner(
        feed(1, 1, None, ([[3], [255]], 1, synapse()), ([[-3], [-1]], 2, synapse()), **CLEAR),
        [[1], [0], [0]],
        u=[[0, 0], [192, 16320], [-192, -64]],
    ),
    # 6 bits, mixed: steps of 8: 3 -> 0, -5 -> -8.
    "six_mixed_bits": Corner(
        feed(1, 1, None, ([[3], [-5], [254]], 1, synapse(bits=6, mode="mixed")), **CLEAR),
        [[1], [0]],
        u=[[0, 0, 0], [0, -512, 15872]],
    ),
    # Weights 1, 1, 1 >> 1: together floor(3/2) = 1; of delays 1, 1, 2 floor(2/2) = 1, then floor(1/2) = 0.
    "exponent_shifts_the_sum_of_a_delay_slot": Corner(
        feed(
            3,
            1,
            None,
            ([[1, 1, 1], [1, 1, 1]], np.array([[1, 1, 1], [1, 1, 2]]), synapse(-1)),
            **CLEAR,
        ),
        [[1, 1, 1], [0, 0, 0], [0, 0, 0]],
        u=[[0, 0], [64, 64], [0, 0]],
    ),
    # -3 >> 1 = floor(-1.5) = -2; in two slots -2 >> 1 = -1, then -1 >> 1 = -1.
    "exponent_rounds_down": Corner(
        feed(
            3,
            1,
            None,
            ([[-1, -1, -1], [-1, -1, -1]], np.array([[1, 1, 1], [1, 1, 2]]), synapse(-1)),
            **CLEAR,
        ),
        [[1, 1, 1], [0, 0, 0], [0, 0, 0]],
        u=[[0, 0], [-128, -64], [0, -64]],
    ),
    # 5 << 3 = 40, -5 << 3 = -40, 5 >> 1 = 2, -5 >> 1 = -3, 127 >> 7 = 0, -1 >> 7 = -1.
    "bias_exponents_of_both_signs": Corner(
        feed(
            1,
            1,
            None,
            ([[0]] * 6, 1, synapse()),
            dv=4095,
            vth=131071,
            bias_mant=[5, -5, 5, -5, 127, -1],
            bias_exp=[3, 3, -1, -1, -7, -7],
        ),
        [[0], [0]],
        v=[[40, -40, 2, -3, 0, -1]] * 2,
    ),
    # 100 << 6 = vth << 6 does not spike, 101 << 6 does.
    "voltage_at_threshold_does_not_spike": Corner(
        feed(1, 1, None, ([[100], [101]], 1, synapse()), vth=100),
        [[1], [0], [0]],
        v=[[0, 0], [6400, 0], [6400, 0]],
        spikes=[(1, 1)],
    ),
    # du = 0 multiplies by 4095/4096: 4096 -> 4095 -> 4094.0002 -> 4093.0004, and a current of 1 vanishes.
    "du_0_still_decays": Corner(
        feed(1, 1, {"u": [4096, -4096, 1]}, ([[0]] * 3, 1, synapse()), du=0, dv=4095, vth=131071),
        SILENT,
        u=[[4095, -4095, 0], [4094, -4094, 0], [4093, -4093, 0]],
    ),
    "dv_0_does_not_decay": Corner(
        feed(1, 1, {"v": [4096, 1]}, ([[0]] * 2, 1, synapse()), vth=131071),
        SILENT,
        v=[[4096, 1]] * 3,
    ),
    # 3 * 7 = 21, 3 * -2 = -6; shifted by -1: floor(7/2) = 3, floor(-3/2) = -2.
    "graded_payloads": Corner(
        feed(1, 10, None, ([[3]], 1, synapse()), **CLEAR),
        [[7], [-2], [0]],
        u=[[0], [1344], [-384]],
    ),
    "graded_payloads_are_shifted_as_a_sum": Corner(
        feed(1, 10, None, ([[1]], 1, synapse(-1)), **CLEAR),
        [[7], [-3], [0]],
        u=[[0], [192], [-128]],
    ),
    # 250 << 6 = 16000 spikes twice: 16000 - 6400 = 9600, 9600 - 6400 = 3200.
    "reset_by_subtraction_keeps_the_rest": Corner(
        feed(1, 1, None, ([[250]], 1, synapse()), vth=100, reset="subtract"),
        [[1], [0], [0], [0]],
        v=[[0], [9600], [3200], [3200]],
        spikes=[(1, 0), (2, 0)],
    ),
}


@pytest.fixture(scope="module")
def lava_corners() -> dict[str, Any]:
    """All corners on Lava, in one child process."""
    if not SUPPORT.ok:
        pytest.skip(SUPPORT.reason)
    jobs = []
    for corner in CORNERS.values():
        program = nc.compile(network(corner), "lava", accept_wrap=True)
        jobs.append(Job(program.lowered, *program.prepare(corner.raster, None, corner.record)))
    results = dict(zip(CORNERS, try_jobs(jobs), strict=True))
    return {
        name: x if isinstance(x, Exception) else from_result(x, len(CORNERS[name].inputs), 1e-3) for name, x in results.items()
    }


@pytest.mark.xdist_group("lava-corners")
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", CORNERS)
def test_corner(name, target, request):
    corner = CORNERS[name]
    if target == "lava":
        recording = request.getfixturevalue("lava_corners")[name]
        if isinstance(recording, Exception):
            raise recording
    else:
        recording = nc.compile(network(corner), target, accept_wrap=True).run(corner.raster, record=corner.record)
    for state in "uv":
        expected = getattr(corner, state)
        if expected is not None:
            assert recording[f"p.{state}"].tolist() == expected
    spikes = recording["p"]
    assert list(zip(spikes.times.tolist(), spikes.ids.tolist(), strict=True)) == corner.spikes
