"""Networks, chips and passes that several tests here share, as fixtures that give functions."""

from dataclasses import replace

import numpy as np
import pytest

import neurocomp as nc
from neurocomp.ir.chips import Chip
from neurocomp.ir.passes import Discretise, Fold, Quantise


@pytest.fixture(scope="session")
def chip():
    """Loihi 1 with other numbers, and neurons of any kind."""

    def build(**changes):
        return replace(Chip.load("loihi1"), **{"custom_neurons": True, **changes})

    return build


@pytest.fixture(scope="session")
def lif():
    """A CubaLIF."""

    def build(**parameters):
        return nc.CubaLIF(**{"tau_syn": 5e-3, "tau_mem": 20e-3, **parameters})

    return build


@pytest.fixture(scope="session")
def dense():
    """A matrix of ones."""

    def build(n_post, n_pre):
        return nc.Dense(np.ones((n_post, n_pre)))

    return build


@pytest.fixture(scope="session")
def chain(lif):
    """x -> p0 -> p1 ..., one population per connectivity."""

    def build(*connectivities, neuron=None, delay=1):
        net = nc.Network("chain", dt=1e-3)
        net.input("x", connectivities[0].n_pre)
        before = "x"
        for k, connectivity in enumerate(connectivities):
            net.population(f"p{k}", neuron or lif(), connectivity.n_post)
            net.connect(before, f"p{k}", connectivity, delay=delay, name=f"c{k}")
            before = f"p{k}"
        return net

    return build


@pytest.fixture(scope="session")
def net_of():
    """x -> p, with a weight matrix."""

    def build(neuron, weights, bias=0.0, delay=1, payload=1):
        matrix = np.atleast_2d(np.asarray(weights, float))
        net = nc.Network("n", dt=1e-3)
        net.input("x", matrix.shape[1], max_payload=payload)
        net.population("p", neuron, matrix.shape[0], bias=bias)
        net.connect("x", "p", nc.Dense(matrix), delay=delay)
        return net

    return build


@pytest.fixture(scope="session")
def folded():
    """A network as the quantise pass gets it."""
    return lambda net: Fold()(Discretise()(net))


@pytest.fixture(scope="session")
def plan(folded):
    """What the quantise pass decides."""
    return lambda net, strategy="max", **options: Quantise(strategy, **options).plan(folded(net))


@pytest.fixture(scope="session")
def texts():
    """The changes of a network, a line each."""
    return lambda net: "\n".join(map(str, net.changes))
