"""Networks and runs that the tests of energy share."""

import numpy as np
import pytest

import neurocomp as nc


def layered(seed=0, arithmetic="float"):
    """Two layers within one step, recurrence with delays per synapse, neurons at rest and neurons with a bias."""
    rng = np.random.default_rng(seed)
    net = nc.Network("layered", dt=1e-3)
    net.input("x", 12)
    net.population("h", nc.CubaLIF(tau_syn=5e-3, tau_mem=20e-3), 40, bias=np.repeat([0.0, 0.02], 20))
    net.population("y", nc.LIF(tau=10e-3), 6)
    net.connect("x", "h", nc.Dense(rng.normal(20, 30, (40, 12))))
    keep = rng.random((40, 40)) < 0.2
    net.connect(
        "h",
        "h",
        nc.Sparse(np.where(keep, rng.normal(0, 20, (40, 40)), 0)),
        delay=np.where(keep, rng.integers(1, 4, (40, 40)), 1),
    )
    net.connect("h", "y", nc.Dense(rng.normal(10, 20, (6, 40))))
    return net


def raster(seed=1, steps=60, size=12, rate=0.1):
    return np.random.default_rng(seed).random((steps, size)) < rate


@pytest.fixture(scope="session")
def layered_run():
    """(program, recording) of `layered` on the reference backend."""
    program = nc.compile(layered(), "reference")
    return program, program.run({"x": raster()})


@pytest.fixture(scope="session")
def report(layered_run):
    """Its report on Loihi by both profiles and all others."""
    from neurocomp.energy import names

    first = ["loihi1-sanafe", "loihi1-davies2018"]
    return nc.energy(*layered_run, [*first, *(x for x in names() if x not in first)])
