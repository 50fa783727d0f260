"""Sources: populations that take no input and make their own spikes. Random ones draw from the network's seed."""

from __future__ import annotations

from neurocomp.ir.model import NeuronModel

NOISE_UNITS = 4096  # NoisyCurrent sends its standard deviation as this payload

# Steps until the next event: an exponential waiting time, rounded up. Drawn only when one is over, which costs little.
_WAIT = "max(round(-log1p(-rand()) / (rate * dt) + 0.5), 1.0)"

Poisson = NeuronModel(
    "Poisson",
    parameters={"rate": "Hz", "start": "s", "stop": "s"},
    defaults={"start": 0.0, "stop": 1e9},
    step="left = left - where(t > start - 0.5 * dt and t < stop - 0.5 * dt, 1.0, 0.0)",
    spike="left <= 0.0",
    resets={"wait": f"left = {_WAIT}"},
    initial={"left": _WAIT},
    cautions={"rate * dt > 0.1": "more than one event in twenty shares its step with another and is lost; use PoissonCounts"},
    constraints=("rate >= 0",),
    description="a Poisson process each, seen in steps: a spike in a step where at least one event falls",
)

PoissonCounts = NeuronModel(
    "PoissonCounts",
    parameters={"rate": "Hz", "start": "s", "stop": "s"},
    defaults={"start": 0.0, "stop": 1e9},
    step="events = poisson(where(t > start - 0.5 * dt and t < stop - 0.5 * dt, rate * dt, 0.0))",
    spike="events > 0.0",
    payload="events",
    resets={"none": "events = events"},
    constraints=("rate >= 0",),
    description="a Poisson process each: sends the number of events of a step as a graded spike, so high rates lose nothing",
)

StepCurrent = NeuronModel(
    "StepCurrent",
    parameters={"start": "s", "stop": "s"},
    defaults={"start": 0.0, "stop": 1e9},
    step="on = where(t > start - 0.5 * dt and t < stop - 0.5 * dt, 1.0, 0.0)",
    spike="on > 0.0",
    resets={"none": "on = on"},
    description="sends 1 in every step from start to before stop: a current of the projection's weight (DC without arguments)",
)

NoisyCurrent = NeuronModel(
    "NoisyCurrent",
    parameters={"start": "s", "stop": "s"},
    defaults={"start": 0.0, "stop": 1e9},
    step=f"x = where(t > start - 0.5 * dt and t < stop - 0.5 * dt, {float(NOISE_UNITS)} * randn(), 0.0)",
    spike="round(x) != 0.0",
    payload="x",
    max_payload=8 * NOISE_UNITS,
    resets={"none": "x = x"},
    description=f"sends white noise: in every step a normal number in units of 1/{NOISE_UNITS} of its standard deviation, so a "
    f"projection of weight s / {NOISE_UNITS} is a current of standard deviation s",
)
