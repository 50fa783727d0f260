"""Every limit of a core is kept, or refused by name with what is needed, what there is and what to change."""

from dataclasses import replace

import numpy as np
import pytest

import neurocomp as nc
from neurocomp.ir.chips import Chip
from neurocomp.ir.errors import InputError, ModelError
from neurocomp.ir.passes.place import place
from neurocomp.ir.placement import PlacementError

LOIHI1 = Chip.load("loihi1")


def refused(net, on, **options):
    with pytest.raises(PlacementError) as caught:
        place(net, on, **options)
    assert caught.value.needed > caught.value.available
    return caught.value


def test_too_many_in_axons(chain, dense):
    error = refused(chain(dense(3, 5200)), "loihi1")
    assert (error.subject, error.limit, error.needed, error.available) == ("p0", "in_axons", 5200, 4096)
    assert str(error) == (
        "p0: neuron 0 alone needs 5,200 in-axons (5,200 for 'c0'), a core of loihi1 has 4,096: split its source population "
        "and add the parts up in between, lower its fan-in, or use chip='loihi2'"
    )
    assert place(chain(dense(3, 5200)), "loihi2").cores[0].use["in_axons"] == 5200


def test_too_much_synaptic_memory(chain, dense):
    error = refused(chain(dense(1, 30_000)), "loihi2")
    assert (error.limit, error.needed, error.available) == ("synapse_bits", 30_000 * 64, 192 * 1024 * 8)
    assert "1,920,000 bits of synaptic memory (1,920,000 for 'c0'), a core of loihi2 has 1,572,864" in str(error)


def test_too_many_synapse_formats(dense):
    net = nc.Network("formats", dt=1e-3)
    net.input("x", 2)
    net.population("y", nc.LoihiLIF(du=4095, dv=0, vth=10), 2)
    for k in range(17):
        net.connect("x", "y", dense(2, 2), delay=1, loihi=nc.LoihiSynapse(weight_exp=k - 8))
    error = refused(net, "loihi1")
    assert (error.subject, error.limit, error.needed, error.available) == ("y", "synapse_formats", 17, 16)
    assert "weight exponents, sign modes" in str(error)


def test_too_many_out_axons(chip, chain, dense):
    net = chain(dense(1, 1), dense(12, 1))
    assert len(place(net, chip(compartments=4, out_axons=4)).cores) == 4
    error = refused(net, chip(compartments=4, out_axons=3))
    assert (error.subject, error.limit, error.needed, error.available) == ("p0", "out_axons", 4, 3)
    assert "neuron 0 sends to so many cores that it needs 4 out-axons, a core of loihi1 has 3: lower its fan-out" in str(error)


def test_too_many_cores_for_their_out_axons(chip, chain, dense):
    net = chain(dense(8, 1), nc.Sparse((np.ones(32), (np.arange(32), np.arange(32) // 4)), (32, 8)))
    error = refused(net, chip(compartments=8, out_axons=1, cores=9), partitioner="ordered")
    assert (error.subject, error.limit, error.needed, error.available) == ("chain", "cores", 10, 9)
    assert "needs at least 10 cores (cores that send to more than 1 others are split for their out-axons)" in str(error)


def test_cores_are_split_until_their_out_axons_suffice(chip, chain, dense):
    net = chain(dense(8, 1), nc.Sparse((np.ones(32), (np.arange(32), np.arange(32) // 4)), (32, 8)))
    on = chip(compartments=8, out_axons=4)
    placement = place(net, on, partitioner="ordered")
    assert max(core.use["out_axons"] for core in placement.cores) <= 4
    assert len(placement.populations["p0"]) == 2


def test_too_many_cores(chip, chain, dense):
    net = chain(dense(100, 3))
    error = refused(net, chip(compartments=10, cores=8))
    assert (error.subject, error.limit, error.needed, error.available) == ("chain", "cores", 10, 8)
    assert str(error) == (
        "chain: it needs 10 cores (the cores' compartments are the limit, 100% of 10 used), 1 chip of loihi1 has 8: "
        "allow chips=2, or make the network smaller"
    )
    placement = place(net, chip(compartments=10, cores=8), chips=2)
    assert placement.chips_used == 2
    assert len(placement.cores) == 10
    assert "more than the largest system of 1 chip holds" in str(refused(net, chip(compartments=10, cores=8, max_chips=1)))


def test_too_long_delays_and_too_wide_fields(chain, dense):
    error = refused(chain(dense(2, 2), delay=64), "loihi1")
    assert (error.subject, error.limit, error.needed, error.available) == ("c0", "max_delay", 63, 62)
    narrow = replace(LOIHI1, packing=replace(LOIHI1.packing, weight_widths=(1, 2, 4)))
    with pytest.raises(PlacementError, match="c0: weights of 8 bits do not exist on this chip; its fields have 1, 2, 4"):
        place(chain(dense(2, 2)), narrow)


SUBTRACTS = "they reset by subtraction, its own to 0; use reset='value'"
LACKING = {
    "subtract": (nc.IF(reset="subtract"), SUBTRACTS),
    "snntorch": (nc.SnnTorchLIF(tau=1e-2), SUBTRACTS),
    "loihi subtract": (nc.LoihiLIF(du=4095, dv=9, vth=10, reset="subtract"), SUBTRACTS),
    "silent": (nc.LI(tau=1e-2), "LI never spikes; integrate on the host, or count the spikes of IF(reset='value')"),
    "program": (nc.SinabsIF(reset="value"), "SinabsIF computes [v = v + a; v = max(v, -v_threshold)"),
    "exact": (nc.CubaLIF(tau_syn=1e-3, tau_mem=1e-2, integrator="exact"), "CubaLIF with integrator 'exact' computes"),
    "payload": (nc.GradedRelu(), "GradedRelu sends graded spikes"),
    "graded": (nc.LoihiGradedRelu(vth=3), "LoihiGradedRelu is a program of its own; use LoihiLIF(reset='value')"),
}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", LACKING)
def test_neurons_that_loihi1_does_not_have(chain, dense, name, compiled):
    neuron, reason = LACKING[name]
    net = chain(dense(3, 2), neuron=neuron)
    net = nc.compile(net, "reference").lowered if compiled else net
    with pytest.raises(PlacementError) as caught:
        place(net, "loihi1")
    assert (caught.value.subject, caught.value.limit) == ("p0", "custom_neurons")
    assert str(caught.value).startswith(f"p0: loihi1 has no such neurons: {reason}")
    assert str(caught.value).endswith("use a chip whose neurons are programs: chip='loihi2'")
    assert len(place(net, "loihi2").cores) == 1


@pytest.mark.parametrize(
    "neuron",
    [
        nc.IF(),
        nc.LIF(tau=1e-2, v_reset=-0.5, v_leak=0.1),
        nc.CubaLIF(tau_syn=1e-3, tau_mem=1e-2),
        nc.SinabsLIF(tau=1e-2, reset="value"),
        nc.LoihiLIF(du=4095, dv=9, vth=10),
    ],
    ids=lambda neuron: neuron.model.name,
)
def test_neurons_that_loihi1_has(chain, dense, neuron):
    assert len(place(chain(dense(3, 2), neuron=neuron), "loihi1").cores) == 1


def test_every_population_that_needs_another_neuron_is_named(chain, dense):
    net = chain(dense(3, 2), dense(3, 3), dense(3, 3), neuron=nc.IF(reset="subtract"))
    with pytest.raises(PlacementError, match=r"p0: loihi1 has no such neurons \(nor those of 'p1', 'p2'\): they reset"):
        place(net, "loihi1")


def test_formats_of_neurons_split_populations(chip, chain, dense, lif):
    """40 thresholds and 40 decays in one population: 16 and 32 a core."""
    net = chain(dense(40, 3), neuron=lif(v_threshold=np.arange(1.0, 41), tau_mem=np.linspace(1e-2, 2e-2, 40)))
    placement = place(net, "loihi1")
    assert [piece.size for piece in placement.populations["p0"]] == [16, 16, 8]
    assert len(place(net, "loihi2").cores) == 1
    assert [c.use["compartment_formats"] for c in place(net, chip(threshold_formats=None)).cores] == [32, 8]


def test_bad_arguments(chain, dense):
    net = chain(dense(2, 2))
    with pytest.raises(ModelError, match="there is no chip 'loihi3'; known are loihi1, loihi2, or give the path"):
        place(net, "loihi3")
    with pytest.raises(ModelError, match="no partitioner 'best'; use one of auto, metis, greedy, ordered"):
        place(net, partitioner="best")
    with pytest.raises(ModelError, match=r"chips must be a whole number from 1 to 1152 \(loihi2\), not 0"):
        place(net, chips=0)
    with pytest.raises(ModelError, match="rate is a number of spikes"):
        place(net, rate=-1)
    with pytest.raises(PlacementError, match="no neurons to place"):
        place(nc.Network("empty", dt=1e-3))
    recording = nc.compile(net, "reference").run({"x": ([], [])}, 3, record=["p0"])
    with pytest.raises(InputError, match="the recording lacks the spikes of 'x'"):
        place(net, recording=recording)
    with pytest.raises(InputError, match="the recording has 2 neurons of 'x', the network 5"):
        place(chain(dense(2, 5)), recording=nc.compile(net, "reference").run({"x": ([], [])}, 3))


def test_float_parameters_that_fold_away_need_no_formats():
    """r goes into weights, v_leak into the bias, and time constants within a 12-bit decay are one."""
    rng = np.random.default_rng(0)
    net = nc.Network("float", dt=1e-3)
    net.input("x", 10)
    cells = nc.LIF(tau=rng.uniform(20e-3, 20.001e-3, 900), r=rng.uniform(1, 2, 900), v_leak=rng.uniform(0, 0.1, 900))
    net.population("p", cells, 900)
    net.connect("x", "p", nc.Dense(rng.normal(size=(900, 10))))
    assert len(place(net, "loihi1").cores) == 1
