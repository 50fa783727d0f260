"""A short run of the fuzzers in `readers.py`, with random bytes instead of coverage: only our own errors come out."""

import importlib.util
import random
from pathlib import Path

import pytest

spec = importlib.util.spec_from_file_location("readers", Path(__file__).with_name("readers.py"))
readers = importlib.util.module_from_spec(spec)
spec.loader.exec_module(readers)


def mutated(seed, rng):
    data = bytearray(seed)
    for _ in range(rng.randint(1, 6)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data[: rng.randrange(1, len(data))] if rng.random() < 0.1 else data)


@pytest.mark.parametrize(("target", "times"), [("nir", 2000), ("network", 600), ("npz", 150)])
def test_random_bytes(target, times):
    rng = random.Random(target)
    seeds = readers.seeds(target)
    for _ in range(times):
        data = mutated(rng.choice(seeds), rng) if target == "npz" else rng.randbytes(rng.randrange(300))
        readers.TARGETS[target](data)
