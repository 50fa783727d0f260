"""The cortical microcircuit at reduced scale: the reference spikes for any number of threads, and the published rates."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

import neurocomp as nc
from neurocomp.conform import compare

FILE = Path(__file__).parents[1] / "benchmarks" / "microcircuit.py"


@pytest.fixture(scope="module")
def circuit():
    spec = importlib.util.spec_from_file_location("microcircuit", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_number_of_threads_gives_the_spikes_of_the_reference(circuit):
    net = circuit.network(scale=0.05)
    record = [*circuit.NAMES, "L4E.v", "L5I.i"]
    expected = nc.compile(net, "reference", mantissa_bits=15).run(steps=400, record=record)
    for threads in (1, 2, 3):
        found = nc.compile(net, "cpu", threads=threads, mantissa_bits=15).run(steps=400, record=record)
        assert compare(expected, found) == []
    assert sum(len(expected[name]) for name in circuit.NAMES) > 100
    assert min(expected.counters.events.values()) >= 0
    assert sum(expected.counters.events.values()) > 1000


def test_rates_are_the_published_ones(circuit):
    """A tenth of the circuit, whose statistics differ a little, for a second: within 1 Hz of the rates of the whole one."""
    net = circuit.network(scale=0.1)
    steps = round(1.0 / circuit.DT)
    spikes = nc.compile(net, "cpu", mantissa_bits=15).run(steps=steps, record=[]).counters.spikes
    rates = [spikes[name] / net.populations[name].size for name in circuit.NAMES]
    assert rates == pytest.approx(circuit.RATES, abs=1.1)
