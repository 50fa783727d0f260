"""The text form of networks: short, stable, complete enough to diff."""

from dataclasses import replace

from neurocomp.ir.connectivity import Dense, OneToOne, Sparse
from neurocomp.ir.network import LoihiSynapse, Network
from neurocomp.ir.neurons import LIF, CubaLIF, LoihiLIF
from neurocomp.ir.passes import standard
from neurocomp.ir.text import text


def build():
    net = Network("digits", dt=1e-3)
    net.input("x", (2, 3))
    net.input("g", 2, max_payload=7)
    net.population("h", CubaLIF(tau_syn=5e-3, tau_mem=[0.02, 0.03], initial={"v": 0.5}), 2, bias=[0.0, 0.25])
    net.population("y", LIF(tau=0.01, reset="subtract", integrator="euler"), 2)
    net.connect("x", "h", Dense([[1, 2, 3, 4, 5, 6], [-1, 0, 0, 0, 0, 0.5]], bias=1.0))
    net.connect("h", "y", OneToOne(2.0), delay=3)
    net.connect("h", "y", Sparse(([1.0, 2.0], ([0, 1], [1, 0])), (2, 2)), delay=[0, 4])
    net.connect("g", "y", OneToOne(1.0), name="graded")
    return net


def test_the_written_network():
    assert text(build()) == (
        'network "digits" dt=0.001 s integrator=exponential\n'
        "  input x 2x3\n"
        "  input g 2 max_payload=7\n"
        "  population h 2 CubaLIF tau_syn=0.005 tau_mem=[0.02..0.03] r=1 v_leak=0 v_threshold=1 v_reset=0 w_in=1 reset=value"
        " initial v=0.5 bias=[0..0.25]\n"
        "  population y 2 LIF tau=0.01 r=1 v_leak=0 v_threshold=1 v_reset=0 reset=subtract integrator=euler\n"
        "  x -> h: Dense 2x6 synapses=12 w=[-1, 6] bias delay=0\n"
        '  g -> y "graded": OneToOne 2x2 synapses=2 w=[1, 1] delay=0\n'
        "  h -> y: OneToOne 2x2 synapses=2 w=[2, 2] delay=3\n"
        '  h -> y "h->y#2": Sparse 2x2 synapses=2 w=[1, 2] delay=0..4'
    )
    assert str(build()) == text(build())


def test_a_compiled_network_shows_programs_grids_and_lags():
    net = Network("n", dt=1e-3)
    net.input("x", 2)
    net.population("h", LIF(tau=0.01), 2)
    net.connect("x", "h", OneToOne(64.0))
    shown = text(standard(8)(net)).splitlines()
    assert shown[1] == "  input x 2"
    assert shown[2].endswith("grid=2^-4 bound=97 int32 lag=1")  # 64 (1 - exp(-0.1)) = 6.09 = 97.4 / 16
    assert shown[3:6] == ["    v = v * v_decay + a + v_bias", "    spike: v > v_threshold", "    reset: v = v_reset"]
    assert "    v_decay = 0.904837" in shown
    assert shown[-1].endswith("w=[6.0625, 6.0625] delay=1")


def test_a_loihi_network_shows_exponents_and_shifts():
    net = Network("n", dt=1e-3)
    net.input("x", 2)
    net.population("h", LoihiLIF(du=1, dv=2, vth=3), 2)
    net.connect("x", "h", OneToOne(64.0), delay=1, loihi=LoihiSynapse(weight_exp=-2))
    line = text(standard()(net)).splitlines()[-1]
    assert "weight_exp=-2" in line
    assert line.endswith("shift=2")


def test_one_changed_number_changes_one_line():
    first, net = text(build()).splitlines(), build()
    edge = net.graph.edges["h", "y", "h->y"]
    edge["projection"] = replace(edge["projection"], connectivity=OneToOne([2.0, 2.5]))
    second = text(net).splitlines()
    assert sum(a != b for a, b in zip(first, second, strict=True)) == 1
