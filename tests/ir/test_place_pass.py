"""`place`: every neuron once, no limit exceeded, and all costs as a brute-force count over single synapses and spikes."""

import itertools
import json
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

import neurocomp as nc
from neurocomp.conformance import random_case
from neurocomp.ir.chips import LIMITS, Chip
from neurocomp.ir.convolution import Conv2d
from neurocomp.ir.errors import ModelError
from neurocomp.ir.passes import place as place_module
from neurocomp.ir.passes.loihi import sign_mode
from neurocomp.ir.passes.place import Place, place
from neurocomp.ir.placement import Placement, PlacementError
from neurocomp.ir.placement.mesh import assign, improved, snake

LOIHI1 = Chip.load("loihi1")


# ----------------------------------------------------------------------------------------------------- brute-force count


def words(length, width, packing):
    """The packing formula of nengo-loihi, block by block."""
    bits = 0
    while length > 0:
        n = min(length, 64)
        bits += 64 * -(-(n * width + 10) // 64)
        length -= 64
    assert (packing.word, packing.block, packing.header) == (64, 64, 10)
    return bits


def width_of(net, projection, packing, compartments):
    loihi = net.populations[projection.post].neuron.model.arithmetic == "loihi"
    bits = projection.loihi.num_weight_bits if loihi and projection.loihi else 8
    width = min(w for w in packing.weight_widths if w >= bits)
    width += int(np.ceil(np.log2(max(projection.max_delay - 1, 0) + 1)))
    if not isinstance(projection.connectivity, nc.Dense):
        width += min(w for w in packing.index_widths if 2**w >= compartments)
    return width


def count(placement, net):
    """What every core takes of every limit, from lists of single synapses."""
    owner = {name: placement.core_of(name) for name in net.populations}
    use = [Counter(dict.fromkeys(LIMITS, 0)) for _ in placement.cores]
    axons, out, formats, decays, thresholds = (defaultdict(set) for _ in range(5))
    for name, population in net.populations.items():
        for neuron, core in enumerate(owner[name]):
            use[core]["compartments"] += 1
            values = {
                key: float(np.broadcast_to(np.ravel(value), population.size)[neuron])
                for key, value in population.neuron.parameters.items()
                if key not in ("bias_mant", "bias_exp", "r", "w_in", "v_leak", "v_reset")
            }
            for key in [key for key in values if key.startswith("tau")]:  # a 12-bit decay on the chip
                values[key] = float(round(4096 * np.exp(-net.dt / values[key])))
            limits = [values.pop(key) for key in ("vth", "v_threshold", "threshold") if key in values]
            decays[core].add((population.neuron.model.name, *sorted(values.items())))
            thresholds[core].add(tuple(limits))
    for projection in net.projections.values():
        layer, pre = projection.connectivity, projection.pre
        is_conv, is_dense = isinstance(layer, Conv2d), isinstance(layer, nc.Dense)
        width = width_of(net, projection, placement.chip.packing, placement.chip.compartments)
        listed = layer.expand()
        lists, kernels = defaultdict(Counter), defaultdict(set)
        reached = {int(owner[projection.post][target]) for target in listed.post}
        for source, target in zip(listed.pre.tolist(), listed.post.tolist(), strict=True):
            core = owner[projection.post][target]
            axon = (projection.name, source % (layer.in_shape[1] * layer.in_shape[2])) if is_conv else (pre, source)
            axons[core].add(axon)
            if pre in owner:
                out[owner[pre][source]].add((core, axon, is_conv))
            if is_conv:
                continue
            key = int(layer.columns[source]) if is_dense and layer.columns is not None else source
            lists[core][key] += 0 if is_dense else 1
            synapse = projection.loihi or nc.LoihiSynapse()
            loihi = net.populations[projection.post].neuron.model.arithmetic == "loihi"
            learns = projection.plasticity is not None and synapse.sign_mode is None
            mode = "mixed" if learns else sign_mode(layer.weights, synapse)  # Lava's learning weights are of both signs
            scale = (synapse.num_weight_bits, synapse.weight_exp, mode)
            delay_bits = int(max(projection.max_delay - 1, 0)).bit_length()
            formats[core].add((is_dense, width, delay_bits, scale if loihi else projection.name))
        if is_conv and len(listed):
            for target in range(layer.n_post):
                kernels[owner[projection.post][target]].add(target // (layer.output_shape[1] * layer.output_shape[2]))
            for core, channels in kernels.items():
                if core not in reached:
                    continue  # all that lies here looks at padding only
                group_size = layer.output_shape[0] // layer.groups
                for _, members in itertools.groupby(sorted(channels), lambda c, size=group_size: c // size):
                    length = len(list(members)) * layer.kernel[0] * layer.kernel[1]
                    use[core]["synapse_bits"] += layer.weights.shape[1] * words(length, width, placement.chip.packing)
                formats[core].add(projection.name)
        on_core = Counter(owner[projection.post].tolist())
        for core, sources in lists.items():
            lengths = [on_core[core] if is_dense else n for n in sources.values()]
            use[core]["synapse_bits"] += sum(words(n, width, placement.chip.packing) for n in lengths)
    for core, counter in enumerate(use):
        counter["in_axons"] = len(axons[core])
        counter["out_axons"] = sum(placement.chip.packing.convolution_slots if conv else 1 for _, _, conv in out[core])
        counter["compartment_formats"], counter["threshold_formats"] = len(decays[core]), len(thresholds[core])
        counter["synapse_formats"] = len(formats[core])
    return use


def send(placement, net, recording):
    """(between, inputs, hops_x, hops_y): totals over the run, spike by spike."""
    owner = {name: placement.core_of(name) for name in net.populations}
    reached = defaultdict(set)
    for projection in net.projections.values():
        listed = projection.connectivity.expand()
        for source, target in zip(listed.pre.tolist(), listed.post.tolist(), strict=True):
            reached[projection.pre, source].add(int(owner[projection.post][target]))
    between, inputs, hops = Counter(), Counter(), np.zeros(2)
    for name, events in recording.spikes.items():
        for neuron in events.ids.tolist():
            for core in reached[name, neuron]:
                if name not in owner:
                    inputs[core] += 1
                    continue
                mine = int(owner[name][neuron])
                between[mine, core] += 1
                a, b = placement.cores[mine], placement.cores[core]
                across = int(np.ceil(np.sqrt(placement.chips)))
                at = [
                    (c.chip % across * placement.chip.columns + c.tile[0], c.chip // across * placement.chip.rows + c.tile[1])
                    for c in (a, b)
                ]
                hops += np.abs(np.subtract(*at))
    return between, inputs, hops


def check_covers(placement, net):
    for name, population in net.populations.items():
        seen = np.zeros(population.size, int)
        for piece in placement.populations[name]:
            assert piece.start < piece.stop
            seen[piece.start : piece.stop] += 1
        assert (seen == 1).all(), name
    numbers = [(core.chip, core.number) for core in placement.cores]
    assert len(set(numbers)) == len(numbers)
    assert all(0 <= c < placement.chips and 0 <= n < placement.chip.cores for c, n in numbers)
    for core in placement.cores:
        assert core.tile == (core.number // 4 % 8, core.number // 32)


TINY = replace(
    LOIHI1, name="tiny", custom_neurons=True, compartments=7, in_axons=40, out_axons=60, synapse_bits=64 * 70,
    synapse_formats=5, compartment_formats=6, threshold_formats=4, cores=20, max_delay=None,
)  # fmt: skip


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000),
    partitioner=st.sampled_from(["auto", "greedy", "ordered"]),
    compiled=st.booleans(),
    compartments=st.integers(2, 12),
)
@example(seed=1031, partitioner="auto", compiled=False, compartments=3)  # a learning projection of one sign beside a mixed one
def test_random_networks_against_brute_force(seed, partitioner, compiled, compartments):
    case = random_case(seed)
    program = nc.compile(case.network, "reference", **case.options)
    recording = program.run(case.inputs, case.steps)
    net = program.lowered if compiled else case.network
    try:
        placement = place(
            net, replace(TINY, compartments=compartments), chips=3, recording=recording, partitioner=partitioner, seed=seed
        )
    except PlacementError:
        assume(False)
    check_covers(placement, net)
    for core, mine, brute in zip(placement.cores, (c.use for c in placement.cores), count(placement, net), strict=True):
        assert dict(mine) == dict(brute)
        assert all(brute[name] <= limit for name, limit in placement.chip.limits.items()), core
    between, inputs, hops = send(placement, net, recording)
    steps = case.steps
    assert {ij: n / steps for ij, n in between.items()} == {
        (i, j): placement.traffic[i, j] for i, j in np.argwhere(placement.traffic).tolist()
    }
    assert placement.input_messages == pytest.approx(sum(inputs.values()) / steps, abs=1e-12)
    assert placement.messages == pytest.approx(sum(n for (i, j), n in between.items() if i != j) / steps, abs=1e-12)
    assert (placement.hops_x, placement.hops_y) == pytest.approx(tuple(hops / steps), abs=1e-9)
    json.dumps(placement.to_dict(), allow_nan=False)


# --------------------------------------------------------------------------------------------------------- partitioning


@pytest.fixture
def clustered(lif, dense):
    """Populations a0..a7, then b0..b7; each a talks to its b, and a thin ring ties all into one cycle."""
    net, pairs, size = nc.Network("clusters", dt=1e-3), 8, 30
    for letter in "ab":
        for k in range(pairs):
            net.population(f"{letter}{k}", lif(), size)
    for k in range(pairs):
        net.connect(f"a{k}", f"b{k}", dense(size, size), delay=1)
        net.connect(f"b{k}", f"a{k}", dense(size, size), delay=1)
        following = nc.Sparse(([1.0], ([0], [0])), (size, size))
        net.connect(f"b{k}", f"a{(k + 1) % pairs}", following, delay=1)
    return net


@pytest.mark.parametrize("partitioner", ["metis", "greedy", "auto"])
def test_regrouping_finds_clusters(partitioner, chip, clustered):
    if partitioner == "metis":
        pytest.importorskip("pymetis")
    net, small = clustered, chip(compartments=75, cores=16)
    fill = place(net, small, partitioner="ordered")
    better = place(net, small, partitioner=partitioner)
    check_covers(better, net)
    assert better.messages <= fill.messages
    if partitioner != "greedy" and better.partitioner == "metis":
        assert better.messages < 0.5 * fill.messages
        assert better.hops < fill.hops
    assert len(better.cores) <= 16


def test_without_metis_it_is_greedy_and_metis_says_what_to_install(monkeypatch, chip, clustered):
    monkeypatch.setattr(place_module, "_has_metis", lambda: False)
    assert place(clustered, chip(compartments=75)).partitioner in ("greedy", "ordered")
    with pytest.raises(ModelError, match=r'needs pymetis: pip install "neurocomp\[place\]", or use "greedy"'):
        place(clustered, LOIHI1, partitioner="metis")


def test_a_grouping_whose_cores_have_too_many_targets_leaves_the_fill(monkeypatch, chip, clustered):
    small, settled, asked = chip(compartments=75, cores=16), place_module._settled, []

    def only_the_fill(demand, groups, chips):
        asked.append(groups)
        if len(asked) > 1:
            raise PlacementError("a0", "out_axons", 2, 1, "its neurons send to too many cores")
        return settled(demand, groups, chips)

    fill = place(clustered, small, partitioner="ordered")
    monkeypatch.setattr(place_module, "_settled", only_the_fill)
    placement = place(clustered, small, partitioner="greedy")
    assert len(asked) == 2
    assert placement.partitioner == "ordered"
    assert placement.slices == fill.slices


def test_the_same_call_gives_the_same_placement(chip, clustered):
    net, small = clustered, chip(compartments=70)
    first, second = (place(net, small, seed=3).to_dict() for _ in range(2))
    assert first == second


def test_spikes_decide_which_parts_stay_together(chip):
    """a and b talk to c, and a spikes more: each part of a is put on the core of its part of c."""
    pytest.importorskip("pymetis")
    net = nc.Network("choice", dt=1e-3)
    net.input("x", 20)
    for name in "abc":
        net.population(name, nc.IF(r=1e3), 20)
    for name in "ab":
        net.connect("x", name, nc.OneToOne(2.0 if name == "a" else 0.1), delay=1)
        net.connect(name, "c", nc.OneToOne(1.0), delay=1)
    recording = nc.compile(net, "reference").run({"x": np.ones((20, 20), int)}, 20)
    assert recording.counters.spikes["a"] > recording.counters.spikes["b"] > 0
    placement = place(net, chip(compartments=40), recording=recording)
    assert placement.core_of("a").tolist() == placement.core_of("c").tolist()
    assert placement.messages <= recording.counters.spikes["b"] / 20
    assert placement.steps == 20
    assert "counted over 20 steps" in placement.text


def test_the_mesh_is_improved_to_a_local_optimum():
    rng = np.random.default_rng(0)
    weights = rng.random((12, 12)) * (rng.random((12, 12)) < 0.4)
    weights = weights + weights.T
    np.fill_diagonal(weights, 0)
    at = np.array([(k % 4, k // 4) for k in range(12)])
    distance = np.abs(at[:, None] - at).sum(axis=2).astype(float)

    def cost(order):
        return (weights * distance[np.ix_(order, order)]).sum()

    place_of = improved(weights, distance)
    assert sorted(place_of) == list(range(12))
    assert cost(place_of) < cost(np.arange(12))
    for i, j in itertools.combinations(range(12), 2):
        swapped = place_of.copy()
        swapped[[i, j]] = swapped[[j, i]]
        assert cost(swapped) >= cost(place_of) - 1e-9


def test_the_snake_visits_neighbouring_tiles_and_skips_missing_cores():
    path = snake(replace(LOIHI1, cores=126))
    assert sorted(path) == list(range(126))
    x, y = LOIHI1.tile(path)
    assert (np.abs(np.diff(x)) + np.abs(np.diff(y))).max() <= 1
    assert set(assign(LOIHI1, 2, np.zeros((130, 130))) // 128) == {0, 1}


# --------------------------------------------------------------------------------------------------------- connectivity


def test_packing_of_dense_layers_is_nengo_loihis(chain, dense):
    """facts: 256 dense 8-bit synapses are 4 blocks of ceil64(64 x 8 + 10) = 576 bits, so a core holds 455 such axons."""
    net = chain(dense(256, 455))
    (core,) = place(net, "loihi1").cores
    assert core.use["synapse_bits"] == 455 * 2304
    assert len(place(chain(dense(256, 456)), "loihi1").cores) == 2


def test_delays_and_fewer_weight_bits_change_the_width(chain):
    def bits(delay, synapse):
        net = chain(nc.Dense(np.full((100, 1), 2.0)), neuron=nc.LoihiLIF(du=0, dv=0, vth=1), delay=delay)
        net = net.with_changes(projections={"c0": replace(net.projections["c0"], loihi=synapse)})
        return place(net, "loihi1").cores[0].use["synapse_bits"]

    assert bits(1, None) == words(100, 8, LOIHI1.packing)
    assert bits(5, None) == words(100, 8 + 3, LOIHI1.packing)
    assert bits(1, nc.LoihiSynapse(num_weight_bits=4)) == words(100, 4, LOIHI1.packing)
    assert bits(1, nc.LoihiSynapse(num_weight_bits=7)) == words(100, 8, LOIHI1.packing)


def test_a_convolution_keeps_its_kernels_once_per_core_and_its_channels_share_axons(lif, chain):
    rng = np.random.default_rng(0)
    layer = nc.Conv2d(rng.normal(size=(16, 4, 3, 3)), 32, padding=1)
    net = nc.Network("conv", dt=1e-3)
    net.input("x", (4, 32, 32))
    net.population("y", lif(), layer.output_shape)
    net.connect("x", "y", layer, delay=1, name="c")
    placement = place(net, "loihi1")
    assert len(placement.cores) == 16  # 1,024 compartments are one channel
    kernel = 4 * words(9, 8 + 10, LOIHI1.packing)
    assert {core.use["synapse_bits"] for core in placement.cores} == {kernel}
    assert {core.use["in_axons"] for core in placement.cores} == {32 * 32}
    expanded = chain(layer.expand())
    assert min(core.use["synapse_bits"] for core in place(expanded, "loihi1").cores) > 50 * kernel


def test_a_large_convolution_is_not_expanded(monkeypatch, chain):
    layer = nc.Conv2d(np.ones((32, 32, 3, 3)), 64, padding=1)
    net = chain(layer)
    monkeypatch.setattr(Conv2d, "expand", None)
    monkeypatch.setattr(Conv2d, "_listing", None)
    placement = place(net, "loihi2")
    assert sum(core.use["compartments"] for core in placement.cores) == 32 * 64 * 64


def test_readouts_send_nothing_and_rates_are_assumed(chip, chain, dense):
    net = chain(dense(10, 4), dense(5, 10))
    net.population("r", nc.LI(tau=1e-2), 5)
    net.connect("p1", "r", nc.OneToOne(1.0), delay=1)
    placement = place(net, chip(compartments=5), rate=0.5, partitioner="ordered")
    assert [core.use["compartments"] for core in placement.cores] == [5] * 4
    assert placement.messages == 0.5 * (10 + 5)
    assert placement.input_messages == 0.5 * 4 * 2
    assert placement.steps is None
    assert "if every neuron spikes with 0.5 per step" in placement.text


def test_the_text_says_everything(chain, dense):
    net = chain(dense(1500, 4), dense(5, 1500))
    placement = place(net, "loihi1", partitioner="ordered")
    assert isinstance(placement, Placement)
    text = str(placement)
    for part in (
        "placement of 'chain' on loihi1 (Intel Loihi, 14 nm, 2018): 2 of 128 cores on 1 chip, partitioner ordered",
        "compartments                  1024      1024   100%",
        "p0: 1,500 neurons in 2 slices: [0:1024] on core",
        "note: float weights are counted with 8 bits",
        "note: assumed for loihi1, not published: columns, rows",
    ):
        assert part in text
    assert "not checked on loihi2: in-axons (not published)" in place(net).text
    assert "hops between chips assume" in place(net, chips=2).text
    assert Place("loihi1")(net).chip is not None


def test_the_network_is_left_alone(chip, clustered):
    net = clustered
    before = str(net)
    place(net, chip(compartments=70))
    assert str(net) == before
    assert net.changes == ()
