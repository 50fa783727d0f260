"""The file format: everything comes back bit for bit, and nothing but a network file gets in."""

import io
import json
import os
import pickle
import re
import zipfile
from dataclasses import fields, is_dataclass

import numpy as np
import pytest

import neurocomp as nc
from neurocomp.conformance import CASES
from neurocomp.ir import passes
from neurocomp.ir.connectivity import Connectivity, Dense
from neurocomp.ir.errors import FileFormatError
from neurocomp.ir.model import NeuronModel
from neurocomp.ir.network import Network
from neurocomp.ir.neurons import LIF
from neurocomp.ir.storage import load, save
from neurocomp.program import compile as compile_network


def flat(value, where=""):
    """Every leaf of a network's parts with its place, arrays as (dtype, shape, bytes)."""
    if isinstance(value, Connectivity):
        yield where, type(value).__name__
        for name, item in sorted(vars(value).items()):
            if not name.startswith("_"):
                yield from flat(item, f"{where}.{name}")
    elif is_dataclass(value):
        yield where, type(value).__name__
        for field in fields(value):
            yield from flat(getattr(value, field.name), f"{where}.{field.name}")
    elif isinstance(value, dict):
        yield where, list(value)
        for name, item in value.items():
            yield from flat(item, f"{where}[{name}]")
    elif isinstance(value, (tuple, list)):
        yield where, len(value)
        for k, item in enumerate(value):
            yield from flat(item, f"{where}[{k}]")
    elif isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value)
        yield where, (array.dtype.str, array.shape, array.tobytes())
    else:
        yield where, value.hex() if isinstance(value, float) else value


def everything(net):
    return [net.name, net.dt.hex(), net.integrator, *flat(net.nodes), *flat(net.projections), *flat(net.changes)]


@pytest.mark.parametrize("name", CASES)
def test_every_case_comes_back_bit_for_bit_before_and_after_the_passes(name, tmp_path):
    case = CASES[name]
    lowered = passes.standard(case.options.get("mantissa_bits", 24))(case.network)
    for net in (case.network, lowered):
        path = save(net, tmp_path / "net")
        again = load(path)
        assert str(again) == str(net)
        assert everything(again) == everything(net)
        assert [x.name for x in again.projections.values()] == [x.name for x in net.projections.values()]


@pytest.mark.parametrize(
    "name", ["CubaLIF-value-exact", "graded-Sparse", "loihi-delay-each", "inserted", "skip-and-recurrence"]
)
def test_a_loaded_network_runs_the_same(name, tmp_path):
    case = CASES[name]
    again = load(save(case.network, tmp_path / "net"))
    first, second = (
        compile_network(net, "reference", **case.options).run(case.inputs, case.steps, case.record)
        for net in (case.network, again)
    )
    for node in first.spikes:
        assert first[node].same_as(second[node])
    for key, trace in first.states.items():
        assert trace.tobytes() == second[key].tobytes()


def test_a_users_model_travels_with_the_file(tmp_path):
    model = NeuronModel(
        "Mine",
        {"tau": "s", "th": "V"},
        equations="dv/dt = (a - v) / tau  # leaky",
        spike="v > th",
        resets={"value": "v = 0", "down": "v = v - th"},
        defaults={"th": 0.1 + 0.2},
        constraints=("tau > 0",),
        description="naïve",
    )
    net = Network("n", dt=1e-3)
    net.population("p", model(tau=[1e-2, 2e-2], reset="down", initial={"v": 1 / 3}), 2, bias=0.1)
    again = load(save(net, tmp_path / "n"))
    assert again.populations["p"].neuron.model == model
    assert again.populations["p"].neuron.reset == "down"


def test_special_floats_survive(tmp_path):
    net = Network("n", dt=5e-324)
    net.population("p", LIF(tau=np.array([5e-324, 1.7976931348623157e308]), v_leak=-0.0), 2, bias=1e-310)
    again = load(save(net, tmp_path / "n"))
    assert again.dt == 5e-324
    assert np.signbit(again.populations["p"].neuron.parameters["v_leak"])
    assert again.populations["p"].neuron.parameters["tau"].tolist() == [5e-324, 1.7976931348623157e308]


def test_names_in_any_script(tmp_path):
    net = Network("Netz »ä«", dt=1e-3)
    net.population("нейрон 1", LIF(tau=1e-2), 1)
    again = load(save(net, tmp_path / "n"))
    assert (again.name, list(again.nodes)) == ("Netz »ä«", ["нейрон 1"])


def test_the_suffix_is_added_where_there_is_none_and_nothing_else_is_left(tmp_path):
    net = CASES["chain"].network
    assert save(net, tmp_path / "net").name == "net.neurocomp"
    assert save(net, str(tmp_path / "other.bin")).name == "other.bin"
    assert sorted(x.name for x in tmp_path.iterdir()) == ["net.neurocomp", "other.bin"]


def test_a_failed_save_leaves_the_old_file_whole(tmp_path):
    net = CASES["chain"].network
    path = save(net, tmp_path / "net")
    before = path.read_bytes()
    broken = Network("n", dt=1e-3)
    broken.population("p", LIF(tau=object()), 1)
    with pytest.raises(TypeError, match="cannot store a object"):
        save(broken, path)
    assert path.read_bytes() == before
    assert [x.name for x in tmp_path.iterdir()] == ["net.neurocomp"]


def test_a_foreign_file_is_not_advised_to_be_loaded_unsafely(tmp_path):
    path = tmp_path / "text.neurocomp"
    path.write_text("hello\n")
    with pytest.raises(FileFormatError, match=r"is not a neurocomp network file \(it does not begin as a zip archive\)"):
        load(path)


def test_a_missing_member_is_named(tmp_path):
    path, less = save(CASES["chain"].network, tmp_path / "net"), tmp_path / "less.neurocomp"
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(less, "w") as written:
        for name in whole.namelist():
            if name != "a1.npy":
                written.writestr(name, whole.read(name))
    with pytest.raises(FileFormatError, match=r"is damaged: it has no member 'a1\.npy'"):
        load(less)


def test_saving_into_a_folder_that_does_not_exist_names_it(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        save(CASES["chain"].network, tmp_path / "nowhere" / "net")


# --------------------------------------------------------------------------------------------------------------- refusals


def members(path):
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files}


def written(path, description, arrays):
    with open(path, "wb") as stream:
        np.savez(stream, network=np.frombuffer(description, np.uint8), **arrays)
    return path


@pytest.fixture
def good(tmp_path):
    return save(CASES["graded-Sparse"].network, tmp_path / "good")


def refuse(path, *parts):
    with pytest.raises(FileFormatError) as caught:
        load(path)
    assert caught.value.path == str(path)
    assert str(caught.value).startswith(f"{path}: ")
    for part in parts:
        assert part in str(caught.value)


def test_truncated_files(good, tmp_path):
    whole = good.read_bytes()
    for length in (0, 1, 3, 4, 30, len(whole) // 2, len(whole) - 30, len(whole) - 1):
        path = tmp_path / f"cut-{length}"
        path.write_bytes(whole[:length])
        refuse(path)


def test_a_flipped_byte_is_noticed_or_harmless(good, tmp_path):
    """zip checks the contents of each member; bytes of the archive's own bookkeeping may be ignored by readers."""
    whole, wanted = good.read_bytes(), everything(load(good))
    rng = np.random.default_rng(0)
    path = tmp_path / "flipped"
    for position in rng.integers(0, len(whole), 150):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ (1 << int(rng.integers(8)))]) + whole[position + 1 :])
        try:
            net = load(path)
        except FileFormatError as error:
            assert str(path) in str(error)  # noqa: PT017
        else:
            assert everything(net) == wanted


def test_random_bytes(tmp_path):
    path = tmp_path / "noise.neurocomp"
    for seed in range(20):
        path.write_bytes(np.random.default_rng(seed).bytes(500))
        refuse(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text", b"network small dt=0.001 s\n"),
        ("json", b'{"format": "neurocomp-network", "version": 1}'),
        ("zip", b"PK\x05\x06" + bytes(18)),
        ("zip start", b"PK\x03\x04" + bytes(100)),
        ("npy start", b"\x93NUMPY\x01\x00"),
    ],
)
def test_files_of_other_kinds(name, content, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(content)
    refuse(path)


def test_missing_files_directories_and_lone_arrays(tmp_path):
    refuse(tmp_path / "none.neurocomp", "no such file")
    refuse(tmp_path, "directory")
    np.save(tmp_path / "array.npy", np.ones(3))
    refuse(tmp_path / "array.npy")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_files_one_may_not_read(good):
    good.chmod(0)
    refuse(good)


def test_a_foreign_archive(tmp_path):
    np.savez(tmp_path / "foreign.npz", weights=np.ones(3))
    refuse(tmp_path / "foreign.npz", "not a network", "'network'")


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_pickles_are_never_opened(tmp_path):
    target = tmp_path / "exploded"
    plain = tmp_path / "plain.neurocomp"
    plain.write_bytes(pickle.dumps(Bomb(target)))
    refuse(plain)
    objects = np.array([Bomb(target)], dtype=object)
    as_npy = tmp_path / "objects.npy"
    np.save(as_npy, objects, allow_pickle=True)
    refuse(as_npy)
    as_description = tmp_path / "description.neurocomp"
    with open(as_description, "wb") as stream:
        np.savez(stream, network=objects)
    refuse(as_description)
    assert not target.exists()


def test_object_arrays_are_refused(good, tmp_path):
    target = tmp_path / "exploded"
    parts = members(good)
    description = parts.pop("network").tobytes()
    refuse(written(tmp_path / "objects", description, {**parts, "a0": np.array([Bomb(target)] * 7, dtype=object)}))
    assert not target.exists()


def test_an_archive_whose_member_is_not_an_array(good, tmp_path):
    path = tmp_path / "odd"
    path.write_bytes(good.read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a99.npy", b"not an array")
    refuse(path)


def test_an_array_header_that_claims_the_whole_memory(good, tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**15,)})
    parts = members(good)
    path = written(tmp_path / "huge", parts["network"].tobytes(), {})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a0.npy", header.getvalue() + bytes(64))
    refuse(path)


def test_a_small_file_of_large_arrays_is_refused_unread(good, tmp_path):
    parts = members(good)
    path = tmp_path / "bomb.neurocomp"
    with open(path, "wb") as stream:
        np.savez_compressed(stream, **{**parts, "a0": np.zeros(2**25)})
    assert path.stat().st_size < 2**20
    refuse(path, "is compressed; in network files none is")


def test_an_encrypted_member_and_an_unknown_compression(good, tmp_path):
    whole = bytearray(good.read_bytes())
    central = whole.rfind(b"PK\x01\x02")
    for offset, value in ((8, 1), (10, 99)):  # flags: encrypted; method: 99
        changed = bytearray(whole)
        start = 0
        while (start := changed.find(b"PK\x01\x02", start)) >= 0:
            changed[start + offset] = value
            start += 4
        local = changed.find(b"PK\x03\x04")
        while local >= 0:
            changed[local + offset - 2] = value
            local = changed.find(b"PK\x03\x04", local + 4)
        path = tmp_path / f"zip-{offset}"
        path.write_bytes(changed)
        refuse(path)
    assert central > 0


def body_of(path):
    return json.loads(members(path)["network"].tobytes())


def set_at(body, path, value):
    *way, last = path
    for key in way:
        body = body[key]
    body[last] = value


CHANGE = {"type": "Change", "fields": dict.fromkeys(("by", "subject", "before", "after", "why"), "")}
RESERVED = {"map": [["a", "V"]]}
NODE = ("nodes", 1, "fields")
EDGE = ("projections", 0, "fields")
TAMPERED = {
    "no format": (("format",), None, "no format mark"),
    "another format": (("format",), "nir", "no format mark"),
    "an older version": (("version",), 0, "version 0"),
    "a newer version": (("version",), 99, "version 99"),
    "a version as text": (("version",), "1", "version 1"),
    "no version": (("version",), None, "version None"),
    "dt as text": (("dt",), "fast", "dt"),
    "a negative dt": (("dt",), -1.0, "dt"),
    "an unknown integrator": (("integrator",), "rk4", "rk4"),
    "nodes as a number": (("nodes",), 5, ""),
    "nodes left out": (("nodes",), None, ""),
    "a node that is a number": (("nodes", 0), 5, "int"),
    "a node that is a projection": (("nodes", 0), CHANGE, "Change"),
    "an unknown class": (("nodes", 1, "type"), "os.system", ""),
    "a class of Python": (("nodes", 1, "type"), "__import__", ""),
    "an unknown field": ((*NODE, "extra"), 1, ""),
    "a node twice": ((*NODE, "name"), "x", "two nodes named 'x'"),
    "a bad shape": ((*NODE, "shape"), {"tuple": ["a"]}, ""),
    "a shape of text": ((*NODE, "shape"), "abc", "Population.shape is 'abc', a str"),
    "a shape of arrays": ((*NODE, "shape"), {"tuple": [{"array": 0}, 2**62]}, "Population.shape"),
    "a shape whose product repeats a tuple": ((*NODE, "shape"), {"tuple": [{"tuple": [1]}, 2**40]}, "Population.shape"),
    "a lag that is true": ((*NODE, "lag"), True, "Population.lag"),
    "a missing array": ((*EDGE, "connectivity", "fields", "weights"), {"array": 10**6}, ""),
    "a negative array": ((*EDGE, "connectivity", "fields", "weights"), {"array": -1}, ""),
    "weights as text": ((*EDGE, "connectivity", "fields", "weights"), "abc", ""),
    "an unknown connectivity": ((*EDGE, "connectivity", "connectivity"), "Random", ""),
    "a connectivity that is a number": ((*EDGE, "connectivity"), 3, ""),
    "an index out of range": ((*EDGE, "connectivity", "fields", "n"), {"tuple": [1, 1]}, ""),
    "a projection from nowhere": ((*EDGE, "pre"), "ghost", "'ghost'"),
    "a projection to a number": ((*EDGE, "post"), 7, ""),
    "a projection named twice": (("projections", 1, "fields", "name"), "x->h", ""),
    "a delay that is text": ((*EDGE, "delay"), "soon", ""),
    "a delay that is a fraction": ((*EDGE, "delay"), {"float": "0x1.8p+0"}, ""),
    "a float that is not one": ((*EDGE, "delay"), {"float": "zero"}, ""),
    "a float beyond all floats": ((*EDGE, "delay"), {"float": "0x1p+99999"}, ""),
    "an unknown construct": ((*EDGE, "delay"), {"eval": "1+1"}, "unknown construct"),
    "a bare JSON list": ((*EDGE, "delay"), [1, 2], "unknown construct"),
    "a bare JSON float": ((*EDGE, "delay"), 1.5, "unknown construct"),
    "a model with code": ((*NODE, "neuron", "fields", "model", "fields", "spike"), "__import__('os').system('id') > 0", ""),
    "a model with a reserved parameter": ((*NODE, "neuron", "fields", "model", "fields", "parameters"), RESERVED, "reserved"),
    "a neuron that is a model": ((*NODE, "neuron"), None, ""),
    "an unhashable key": ((*NODE, "neuron", "fields", "parameters"), {"map": [[["a"], 1]]}, ""),
    "a map that is none": ((*NODE, "neuron", "fields", "parameters"), {"map": [1]}, ""),
    "a wrong parameter name": ((*NODE, "neuron", "fields", "parameters"), {"map": [["tau", 1]]}, ""),
    "a parameter left out": ((*NODE, "neuron", "fields", "parameters"), {"map": []}, "is missing"),
    "changes of another kind": (("changes",), [1], "int"),
}  # fmt: skip


@pytest.mark.parametrize(("place", "value", "part"), TAMPERED.values(), ids=TAMPERED.keys())
def test_tampered_descriptions(place, value, part, good, tmp_path):
    parts = members(good)
    body = json.loads(parts.pop("network").tobytes())
    set_at(body, place, value)
    refuse(written(tmp_path / "tampered", json.dumps(body).encode(), parts), part)


@pytest.mark.parametrize(
    "description",
    [b"", b"{", b"[]", b"5", b"null", b'"neurocomp-network"', b"\xff\xfe", b"[" * 100_000, b'{"format": NaN}', b"9" * 5000],
)
def test_descriptions_that_are_not_even_ours(description, tmp_path):
    refuse(written(tmp_path / "bad", description, {}))


def test_expressions_nested_without_end(tmp_path):
    net = passes.standard()(CASES["chain"].network)
    path = save(net, tmp_path / "net")
    parts = members(path)
    body = json.loads(parts.pop("network").tobytes())
    text = json.dumps(body)
    marker = next(x for x in re.findall(r'{"type": "Name", "fields": {"id": "v", "column": \d+}}', text))
    unary = '{"type": "Unary", "fields": {"op": "-", "operand": '
    nested = text.replace(marker, unary * 5000 + marker + "}}" * 5000, 1)
    refuse(written(path, nested.encode(), parts))


def test_invalid_networks_are_refused_and_can_be_looked_at_with_check_off(tmp_path):
    net = Network("n", dt=1e-3)
    net.input("x", 3)
    net.population("p", LIF(tau=-1.0), 2)
    net.connect("x", "p", Dense(np.ones((2, 3))))
    path = save(net, tmp_path / "n")
    refuse(path, "tau > 0", "tau = -1.0")
    assert load(path, check=False).populations["p"].neuron.parameters["tau"] == -1.0


def test_a_pattern_of_more_synapses_than_any_machine_holds(tmp_path):
    """Found by fuzzing: a few bytes describe any number of synapses, and verifying them draws them all."""
    net = nc.Network("n", dt=1e-3)
    net.population("p", nc.LIF(tau=1e-2), 2**31 - 1)
    net.connect("p", "p", nc.FixedProbability(1.0, weights=1.0), delay=1)
    path = nc.save(net, tmp_path / "huge")
    for check in (True, False):
        with pytest.raises(FileFormatError, match=r"huge\.neurocomp: projection 'p->p' has more than 68719476736 synapses"):
            nc.load(path, check=check)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        *(("n_pre", x, "is not a number of neurons") for x in (0, -1, 1.5, "3", True)),
        *(("dt", x, "is not a number of seconds") for x in (0.0, -1.0, float("inf"), float("nan"), "1")),
    ],
)
def test_a_pattern_that_cannot_be_drawn(field, value, words, tmp_path):
    """Found by fuzzing: no piece of a pattern between no neurons, no delay in steps of no time."""
    net = nc.Network("n", dt=1e-3)
    net.population("p", nc.LIF(tau=1e-2), 3)
    net.connect("p", "p", nc.FixedProbability(0.5, weights=1.0), delay=nc.Uniform(1e-3, 5e-3))
    parts = members(nc.save(net, tmp_path / "n"))
    body = json.loads(parts.pop("network").tobytes())
    set_at(body, ("projections", 0, "fields", "connectivity", "fields", field), stored(value))
    refuse(written(tmp_path / "tampered", json.dumps(body).encode(), parts), words)


def stored(value):
    return {"float": value.hex()} if isinstance(value, float) else value
