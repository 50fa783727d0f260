"""`Events` and what users may give for them."""

import numpy as np
import pytest

from neurocomp.ir.errors import InputError
from neurocomp.ir.events import Events, empty, from_data


def given(data, shape=(3,), steps=5, max_payload=1):
    return from_data("x", data, shape, steps, max_payload)


def listed(events):
    payload = [None] * len(events) if events.payload is None else events.payload.tolist()
    return list(zip(events.times.tolist(), events.ids.tolist(), payload, strict=True))


def test_every_form_of_the_same_spikes():
    raster = np.zeros((5, 3), int)
    raster[[0, 2, 2, 4], [1, 0, 2, 1]] = 1
    wanted = [(0, 1, None), (2, 0, None), (2, 2, None), (4, 1, None)]
    for data in (
        raster,
        raster.astype(bool),
        raster.astype(float),
        raster.astype(np.uint8),
        raster.tolist(),
        ([0, 2, 2, 4], [1, 0, 2, 1]),
        ([4, 2, 0, 2], [1, 2, 1, 0]),
        (np.array([0.0, 2.0, 2.0, 4.0]), [1, 0, 2, 1]),
        ([0, 2, 2, 4], [1, 0, 2, 1], [1, 1, 1, 1]),
        {"times": [0, 2, 2, 4], "ids": [1, 0, 2, 1]},
        Events(np.array([0, 2, 2, 4]), np.array([1, 0, 2, 1]), (3,), 5),
    ):
        assert listed(given(data)) == wanted
    assert given(raster).raster().tolist() == raster.tolist()


def test_payloads_are_sorted_with_their_spikes_and_zeros_are_none():
    events = given(([3, 1, 2, 1], [0, 2, 1, 1], [-7, 5, 0, 2]), max_payload=7)
    assert listed(events) == [(1, 1, 2), (1, 2, 5), (3, 0, -7)]
    assert events.raster().tolist() == [[0, 0, 0], [0, 2, 5], [0, 0, 0], [-7, 0, 0], [0, 0, 0]]
    assert listed(given([[0, -3, 0], [1, 0, 0]], max_payload=3)) == [(0, 1, -3), (1, 0, 1)]


def test_shapes_and_short_data():
    events = given(np.ones((2, 2, 3), int), shape=(2, 3), steps=4)
    assert len(events) == 12
    assert events.raster().shape == (4, 2, 3)
    assert not events.raster()[2:].any()
    assert events.counts().tolist() == [[2, 2, 2], [2, 2, 2]]
    assert len(given(((), ()))) == len(given(np.zeros((0, 3)))) == 0


def test_slices_offsets_and_comparison():
    events = given(([0, 2, 2, 4], [1, 0, 2, 1]))
    assert events.by_step().tolist() == [0, 1, 1, 3, 3, 4]
    part = events.between(1, 3)
    assert (listed(part), part.steps) == ([(1, 0, None), (1, 2, None)], 2)
    ones = Events(events.times, events.ids, (3,), 5, np.ones(4, np.int64))
    twos = Events(events.times, events.ids, (3,), 5, np.full(4, 2))
    assert events.same_as(ones)
    assert not events.same_as(twos)
    assert not events.same_as(events.between(0, 4))
    assert not events.same_as(Events(events.times, events.ids[::-1], (3,), 5))
    assert empty((2, 2), 3).raster().tolist() == [[[0, 0], [0, 0]]] * 3


INF = float("inf")
BAD = {
    "another shape": (np.zeros((5, 4)), {}, ["'x'", "(steps, 3)", "(5, 4)"]),
    "another rank": (np.zeros(5), {}, ["'x'", "(5,)"]),
    "fractions": (np.full((5, 3), 0.5), {}, ["'x'", "whole numbers"]),
    "nan": (np.full((5, 3), np.nan), {}, ["'x'", "whole numbers"]),
    "infinity": ([[INF, 0, 0]], {}, ["'x'"]),
    "infinity in a graded input": ([[-INF, 0, 0]], {"max_payload": 9}, ["'x'"]),
    "beyond 64 bits": ([[1e300, 0, 0]], {"max_payload": 9}, ["'x'"]),
    "text": (np.full((5, 3), "a"), {}, ["'x'"]),
    "complex": (np.ones((5, 3), complex), {}, ["'x'", "complex"]),
    "more steps than the run": (np.ones((7, 3)), {}, ["'x'", "times", "5", "0..4", "steps=7"]),
    "a late time": (([9], [0]), {}, ["'x'", "9", "steps=10"]),
    "a negative time": (([-1], [0]), {}, ["'x'", "times", "-1"]),
    "an id beyond the input": (([0], [3]), {}, ["'x'", "ids", "3", "3 neurons"]),
    "a negative id": (([0], [-2]), {}, ["'x'", "ids", "-2"]),
    "unequal lists": (([0, 1], [0]), {}, ["'x'", "2 times", "1 ids"]),
    "unequal payloads": (([0, 1], [0, 1], [3]), {"max_payload": 9}, ["'x'", "2", "1 payloads"]),
    "fractions of steps": (([0.5], [0]), {}, ["'x'", "times", "whole"]),
    "times as text": ((["a"], [0]), {}, ["'x'", "times"]),
    "a matrix of times": (([[0, 1]], [0, 1]), {}, ["'x'", "times", "(1, 2)"]),
    "no ids": ({"times": [0]}, {}, ["'x'", "ids"]),
    "a spike twice": (([1, 1], [2, 2]), {}, ["'x'", "neuron 2", "step 1"]),
    "a payload beyond the declared": (
        ([1], [2], [8]),
        {"max_payload": 7},
        ["'x'", "payload 8", "max_payload=7", "max_payload=8"],
    ),
    "a negative payload beyond": (([1], [2], [-9]), {"max_payload": 7}, ["'x'", "9", "max_payload=7"]),
    "the most negative payload": (([1], [2], [-(2**63)]), {"max_payload": 7}, ["'x'", str(2**63)]),
    "a payload into plain spikes": (np.full((5, 3), 2), {}, ["'x'", "max_payload=2"]),
    "a negative spike into plain spikes": (np.full((5, 3), -1), {}, ["'x'", "-1", "max_payload"]),
    "nothing": (None, {}, ["'x'"]),
}


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
@pytest.mark.parametrize(("data", "options", "expected"), BAD.values(), ids=BAD.keys())
def test_faults_name_the_input_and_the_numbers(data, options, expected):
    with pytest.raises(InputError) as caught:
        given(data, **options)
    for part in expected:
        assert part in str(caught.value), str(caught.value)
