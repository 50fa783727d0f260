"""Four cues, four actions, and a reward that comes late: learned by trial and error with reward-modulated STDP.

    python examples/reward_learning.py

A closed loop: the world shows a cue (a quarter of the cells fires at random), and whichever of four neurons spikes first is the
action. Half a second later, when all spikes are long over, the world sends its reward, +1 for the cue's right action and -1 for
the others. The eligibility of the synapses that took part has waited for it (Izhikevich 2007, doi:10.1093/cercor/bhl152). All
weights start at 0 and noise makes the first choices. After half of the trials the world changes its mind about what is right.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from numpy.typing import NDArray

import neurocomp as nc

DT = 1e-3
CUES = ACTIONS = 4
CELLS = 40  # ten for each cue
TAU = 20e-3
GAIN = 1.0 / (1.0 - np.exp(-DT / TAU))  # so that a weight is the jump of the voltage
PATIENCE = 300  # steps that a cue is shown at most
LATE = 500  # steps from action to reward
REST = 2000  # steps from reward to the next cue


def brain(seed: int, rate: float) -> nc.Program:
    """Cells -> actions, with a drive that is the same for all actions and noise that is not. rate: of learning."""
    net = nc.Network("choice", dt=DT, seed=seed)
    net.input("cells", CELLS)
    net.input("reward", 1, max_payload=2)  # signed spikes
    net.population("noise", nc.NoisyCurrent(), ACTIONS)
    net.population("actions", nc.LIF(tau=TAU, r=GAIN, v_threshold=6.0), ACTIONS)
    rule = nc.RewardSTDP("reward", a_plus=0.1, a_minus=0.0, tau_c=0.5, rate=rate, w_min=-0.3, w_max=0.3)
    net.connect("cells", "actions", nc.Dense(np.zeros((ACTIONS, CELLS))), name="policy", plasticity=rule)
    net.connect("cells", "actions", nc.Dense(np.full((ACTIONS, CELLS), 0.5)), name="drive")
    net.connect("noise", "actions", nc.OneToOne(0.3 / nc.NOISE_UNITS))
    net.connect("actions", "actions", nc.Dense(5.0 * (np.eye(ACTIONS) - 1)), delay=1)  # the first one silences the others
    return nc.compile(net, "cpu")


def choose(program: nc.Program, cue: int, rng: np.random.Generator) -> int:
    """Show a cue until an action neuron spikes; -1 where none does."""
    for _ in range(PATIENCE):
        firing = cue * CELLS // CUES + np.flatnonzero(rng.random(CELLS // CUES) < 0.1)
        acted = program.step({"cells": firing})["actions"]
        if len(acted):
            return int(rng.choice(acted))
    return -1


def experiment(trials: int = 400, seed: int = 0, rate: float = 2.0, reward: str = "earned") -> NDArray[Any]:
    """(trials,) whether each choice was right. reward: "earned", or the controls "none" and "random"."""
    rng = np.random.default_rng(seed)
    program = brain(seed, rate)
    right = rng.permutation(ACTIONS)
    correct = np.zeros(trials, bool)
    for trial in range(trials):
        if trial == trials // 2:
            right = np.roll(right, 1)  # now every cue needs another action
        cue = int(rng.integers(CUES))
        correct[trial] = choose(program, cue, rng) == right[cue]
        program.run(steps=LATE, record=(), resume=True)
        good = correct[trial] if reward == "earned" else rng.random() < 0.5
        if reward != "none":
            program.step({"reward": ([0], [1 if good else -1])})
        program.run(steps=REST, record=(), resume=True)
    return correct


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    for reward in ("earned", "none", "random"):
        for seed in given.seeds:
            correct = experiment(given.trials, seed, reward=reward)
            tenths = [f"{part.mean():4.0%}" for part in np.array_split(correct, 10)]
            print(f"reward {reward}, seed {seed}: right in each tenth of {given.trials} trials: {' '.join(tenths)}")


if __name__ == "__main__":
    main()
