"""Philox against its published vectors, and the draws from it against the distributions they claim."""

import ctypes
import hashlib
import math

import numpy as np
import pytest
from scipy import stats

functions = pytest.importorskip("neurocomp.kernels.functions")
rand, randn, poisson = functions.rand, functions.randn, functions.poisson
MASK = 0xFFFFFFFF
KEY = np.uint64(0x9E3779B97F4A7C15)
MEANS = [0.1, 1.6, 10.0, 31.9, 32.0, 50.0, 300.0, 1e6]

# Random123's kat_vectors, lines "philox4x32 10": counter, key, result.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text):
    return [int(word, 16) for word in text.split()]


def philox(counter, key):
    """The paper's text in Python's integers."""
    a, b, c, d = counter
    lo, hi = key & MASK, key >> 32
    for _ in range(10):
        p, q = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (q >> 32) ^ b ^ lo, q & MASK, (p >> 32) ^ d ^ hi, p & MASK
        lo, hi = (lo + 0x9E3779B9) & MASK, (hi + 0xBB67AE85) & MASK
    return a, b, c, d


def uniform(high, low):
    return ((high >> 5) * 2**26 + (low >> 6)) / 2**53


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN)
def test_published_vectors(counter, key, result):
    lo, hi = words(key)
    assert functions.philox(words(counter), lo | hi << 32) == tuple(words(result))
    assert philox(words(counter), lo | hi << 32) == tuple(words(result))


def test_philox_is_the_papers():
    rng = np.random.default_rng(5)
    for *counter, lo, hi in rng.integers(0, 2**32, (500, 6)).tolist():
        assert functions.philox(counter, lo | hi << 32) == philox(counter, lo | hi << 32)


def test_counter_is_neuron_step_and_site():
    for key, step, neuron, site in [
        (0, 0, 0, 0),
        (int(KEY), 7, 3, 2),
        (2**64 - 1, 2**40 + 5, 2**31 - 1, 65535),
        (1 << 32, -1, 1, 1),
    ]:
        a, b, c, d = philox([neuron, step & MASK, step >> 32 & MASK, site], key)
        assert rand(np.uint64(key), step, neuron, site) == uniform(a, b)
        angle = 2 * math.pi * uniform(c, d)
        wanted = math.sqrt(-2 * math.log(uniform(a, b) + 2.0**-53)) * math.cos(angle)
        assert randn(np.uint64(key), step, neuron, site) == pytest.approx(wanted, rel=1e-12, abs=1e-14)


def test_keys_may_be_signed():
    assert rand(5, 0, 0, 0) == rand(np.uint64(5), 0, 0, 0) == rand(np.array([5]), 0, 0, 0)[0]
    assert rand(np.uint64(2**64 - 1), 0, 0, 0) == rand(-1, 0, 0, 0) == rand(np.array([-1]), 0, 0, 0)[0]


@pytest.mark.parametrize("axis", range(4), ids=["key", "step", "neuron", "site"])
def test_uniform_along_every_part_of_the_counter(axis):
    n = 60_000 if axis == 3 else 1_000_000
    asked = [KEY, 11, 5, 1]
    asked[axis] = np.arange(n, dtype=np.uint64 if axis == 0 else np.int64)
    u = rand(*asked)
    assert u.min() >= 0
    assert u.max() < 1
    assert stats.chisquare(np.bincount((u * 1024).astype(int), minlength=1024)).pvalue > 1e-3
    low_bits = (u * 2.0**53).astype(np.int64) & 1023
    assert stats.chisquare(np.bincount(low_bits, minlength=1024)).pvalue > 1e-3
    pairs = (u[:-1:2] * 32).astype(int) * 32 + (u[1::2] * 32).astype(int)
    assert stats.chisquare(np.bincount(pairs, minlength=1024)).pvalue > 1e-3


def test_normal():
    z = randn(KEY, np.arange(1000)[:, None], np.arange(1000), 3).ravel()
    assert stats.kstest(z, "norm").pvalue > 1e-3
    assert abs(z.mean()) < 4e-3
    assert abs(z.var() - 1) < 6e-3
    assert abs(stats.skew(z)) < 1e-2
    assert abs(stats.kurtosis(z)) < 2e-2
    for tail in (2, 3, 4):
        expected = 2 * stats.norm.sf(tail) * z.size
        assert abs((np.abs(z) > tail).sum() - expected) < 4 * math.sqrt(expected)
    assert abs(np.corrcoef(z[:-1], z[1:])[0, 1]) < 4e-3


@pytest.mark.parametrize("mean", MEANS)
def test_poisson(mean):
    counts = poisson(KEY, 17, np.arange(400_000), 2, mean)
    assert (counts == np.floor(counts)).all()
    law = stats.poisson(mean)
    edges = np.unique(law.ppf(np.linspace(0, 1, 80)[1:-1]))
    cells = np.bincount(np.searchsorted(edges, counts), minlength=len(edges) + 1)
    expected = np.diff([0.0, *law.cdf(edges), 1.0]) * counts.size
    keep = expected > 5
    observed, wanted = np.append(cells[keep], cells[~keep].sum()), np.append(expected[keep], expected[~keep].sum())
    statistic = ((observed - wanted) ** 2 / np.maximum(wanted, 1e-9))[wanted > 0].sum()
    assert stats.chi2.sf(statistic, keep.sum() - 1) > 1e-3
    assert abs(counts.mean() - mean) < 4 * math.sqrt(mean / counts.size)


@pytest.mark.parametrize("mean", [1e12, 1e15, 1e16])
def test_large_poisson_means_are_nearly_normal(mean):
    z = (poisson(KEY, 17, np.arange(100_000), 2, mean) - mean) / math.sqrt(mean)
    assert stats.kstest(z, "norm").pvalue > 1e-3


def test_special_means():
    means = [0.0, -0.0, -1.0, -math.inf, math.nan, 1e-300]
    assert poisson(KEY, 0, np.arange(6), 0, means).tolist() == [0.0] * 6
    assert poisson(KEY, 0, 0, 0, math.inf) == math.inf
    assert (poisson(KEY, np.arange(1000), 0, 0, 0.0) == 0).all()


def poisson_uniform(key, step, neuron, site):
    """16 bits of the draw of eight neighbours, then 37 bits of the neuron's own."""
    low, high = step & MASK, step >> 32
    coarse = philox([neuron >> 3, low, high, site], key)[(neuron & 7) >> 1] >> 16 * (neuron & 1) & 0xFFFF
    a, b, *_ = philox([neuron, low, high, site | 1 << 16], key)
    return (coarse * 2**37 + (a >> 5) * 2**10 + (b >> 22)) / 2**53


def test_poisson_is_the_inverse_of_a_uniform_draw():
    u = np.array([poisson_uniform(int(KEY), 2**32 + 3, neuron, 4) for neuron in range(20_000)])
    assert stats.kstest(u, "uniform").pvalue > 1e-3
    for mean in (0.3, 1.6, 25.0):
        assert (poisson(KEY, 2**32 + 3, np.arange(20_000), 4, mean) == stats.poisson(mean).ppf(u)).all()


def test_neighbours_that_share_a_draw_are_independent():
    counts = poisson(KEY, np.arange(200_000)[:, None], np.arange(8), 2, 1.6)
    together = np.corrcoef(counts.T)[np.triu_indices(8, 1)]
    assert np.abs(together).max() < 5 / math.sqrt(len(counts))


def test_draws_do_not_depend_on_the_shape_of_the_question():
    keys, steps, neurons = np.array([1, KEY], np.uint64)[:, None, None], np.arange(5)[:, None], np.arange(300)
    means = np.array([0.5, 40.0, 3.0])[neurons % 3]
    for function, more in ((rand, ()), (randn, ()), (poisson, (means,))):
        block = function(keys, steps, neurons, 7, *more)
        for k, step, neuron in [(0, 0, 0), (1, 4, 299), (0, 2, 128), (1, 3, 17)]:
            one = [x[neuron] for x in more]
            assert function(keys[k, 0, 0], step, neuron, 7, *one) == block[k, step, neuron]
        back = function(keys, steps[::-1], neurons[::-1], 7, *(x[::-1] for x in more))
        assert (back[:, ::-1, ::-1] == block).all()


DIGESTS = {
    "rand": "af53a8df74cb5155",
    "randn": "8dab423bdb9aaa25",
    "poisson": "5a316b8a4c7480d1",
}


@pytest.mark.parametrize("name", DIGESTS)
def test_bits_are_those_of_every_other_machine_and_release(name):
    """Spikes are promised bit for bit: whoever changes a digest changes the spikes of stored networks."""
    neurons = np.arange(3000)
    means = (np.array([0.1, 1.6, 31.0, 33.0, 300.0, 1e7])[neurons % 6],) if name == "poisson" else ()
    drawn = functions.TABLE[name](KEY, 2**33, neurons, 5, *means)
    assert hashlib.sha256(drawn.astype("<f8").tobytes()).hexdigest()[:16] == DIGESTS[name]


SOURCE = """
#include <poisson.h>
void all_rand(ptrdiff_t n, const double *mean, double *out) {
    (void)mean;
    for (ptrdiff_t j = 0; j < n; j++) out[j] = nc_rand(77, INT64_C(1) << 33, 40 + j, 5);
}
void all_randn(ptrdiff_t n, const double *mean, double *out) {
    (void)mean;
    for (ptrdiff_t j = 0; j < n; j++) out[j] = nc_randn(77, INT64_C(1) << 33, 40 + j, 5);
}
void all_poisson(ptrdiff_t n, const double *mean, double *out) {
    for (ptrdiff_t j = 0; j < n; j++) out[j] = nc_poisson(77, INT64_C(1) << 33, 40 + j, 5, mean[j]);
}
void all_rand_fill(ptrdiff_t n, const double *mean, double *out) {
    (void)mean;
    nc_rand_fill(n - 7, 77, INT64_C(1) << 33, 40, 5, out);
    nc_rand_fill(7, 77, INT64_C(1) << 33, 40 + n - 7, 5, out + n - 7);
}
void all_randn_fill(ptrdiff_t n, const double *mean, double *out) {
    (void)mean;
    nc_randn_fill(n, 77, INT64_C(1) << 33, 40, 5, out);
}
void all_poisson_fill(ptrdiff_t n, const double *mean, double *out) {
    nc_poisson_fill(n, 77, INT64_C(1) << 33, 40, 5, mean, out);
}
void all_poisson_alike(ptrdiff_t n, const double *mean, double *out) {
    nc_counts kept = {0};
    for (ptrdiff_t at = 0, size = 1; at < n; at += size, size = size % 300 + 1)
        nc_poisson_same(n - at < size ? n - at : size, 77, INT64_C(1) << 33, 40 + at, 5, mean[at], out + at, &kept);
}
"""


@pytest.mark.parametrize("flags", [["-O0"], ["-O3"], ["-O3", "-march=x86-64-v3"], ["-O3", "-march=x86-64-v4"]], ids=" ".join)
def test_same_bits_with_every_instruction_set(compile_c, flags):
    library = compile_c(SOURCE, "-std=c99", *flags)
    mean = np.array([0.1, 1.6, 31.0, 33.0, 300.0, 1e7, 0.0, math.nan, -1.0, math.inf, 1e17, 5.0] * 100)
    asked, out = (77, 2**33, 40 + np.arange(mean.size), 5), np.empty_like(mean)
    for name, wanted in (
        *((name, rand(*asked)) for name in ("rand", "rand_fill")),
        *((name, randn(*asked)) for name in ("randn", "randn_fill")),
        *((name, poisson(*asked, mean)) for name in ("poisson", "poisson_fill")),
    ):
        pointers = (ctypes.c_void_p(array.ctypes.data) for array in (mean, out))
        getattr(library, f"all_{name}")(ctypes.c_ssize_t(mean.size), *pointers)
        assert out.tobytes() == wanted.tobytes(), name


@pytest.mark.parametrize("flags", [["-O0"], ["-O3", "-march=x86-64-v3"], ["-O3", "-march=x86-64-v4"]], ids=" ".join)
@pytest.mark.parametrize("mean", [1e-5, 0.1, 1.6, 2.9, 5.3, 6.5, 12.0, 31.9, 32.0, 1e5, 0.0])
def test_counts_of_one_mean_are_the_same_together(compile_c, mean, flags):
    """Coarse bits equal a sum once in some thousand neurons: 200,000 meet every such case."""
    library = compile_c(SOURCE, "-std=c99", *flags)
    n = 200_000
    means, out = np.full(n, mean), np.empty(n)
    library.all_poisson_alike(ctypes.c_ssize_t(n), *(ctypes.c_void_p(array.ctypes.data) for array in (means, out)))
    assert out.tobytes() == poisson(77, 2**33, 40 + np.arange(n), 5, mean).tobytes()


GUIDED = """
#include <poisson.h>
/* How many of all 65536 coarse numbers the guide counts otherwise; -1: this mean has none, -2: nor has this processor */
int differing(double mean) {
    nc_counts kept = {0};
    int found = 0;
    nc_poisson_sums(&kept, mean);
    if (!kept.guided) return -1;
#ifdef NC_IS_CLONED
    if (!__builtin_cpu_supports("avx512bw")) return -2;
    for (int32_t at = 0; at < 65536; at += NC_BLOCK) {
        uint16_t coarse[NC_BLOCK], counts[2][NC_BLOCK];
        uint32_t alone[2][NC_BLOCK / 32];
        for (int j = 0; j < NC_BLOCK; j++) coarse[j] = (uint16_t)(at + j);
        nc_poisson_count(coarse, &kept, counts[0], alone[0]);
        nc_poisson_count_guided(coarse, &kept, counts[1], alone[1]);
        for (int j = 0; j < NC_BLOCK; j++) {
            const uint32_t bit = UINT32_C(1) << j % 32;
            found += (alone[0][j / 32] & bit) != (alone[1][j / 32] & bit);
            found += !(alone[0][j / 32] & bit) && counts[0][j] != counts[1][j];
        }
    }
    return found;
#else
    return -2;
#endif
}
"""


@pytest.mark.parametrize(("mean", "guided"), [*((x, True) for x in (1e-5, 0.1, 1.28, 2.32, 5.0)), (7.0, False)])
def test_the_guide_counts_as_comparing_with_every_sum_does(compile_c, mean, guided):
    """Means whose sums lie apart have one; for others a place of it would have to hold two sums."""
    library = compile_c(GUIDED, "-std=gnu11", "-O2")
    library.differing.argtypes = [ctypes.c_double]
    found = library.differing(mean)
    assert (found != -1) == guided
    if found == -2:
        pytest.skip("this processor has no AVX-512")
    assert found == (0 if guided else -1)


VECTORS = """
#include <draws.h>
#ifdef NC_IS_CLONED
int draw(int with, uint64_t key, int64_t step, int64_t first, int32_t site, uint64_t *to) {
    if (!(with ? __builtin_cpu_supports("avx512f") : __builtin_cpu_supports("avx2"))) return 0;
    (with ? nc_draws_avx512f : nc_draws_avx2)(key, step, first, site, to);
    return NC_AT_ONCE;
}
#else
int draw(int with, uint64_t key, int64_t step, int64_t first, int32_t site, uint64_t *to) {
    (void)with, (void)key, (void)step, (void)first, (void)site, (void)to;
    return 0;
}
#endif
void in_c(uint64_t key, int64_t step, int64_t first, int32_t site, uint64_t *to) { nc_draws_in_c(key, step, first, site, to); }
"""


@pytest.mark.parametrize("flags", [["-O0"], ["-O3"]], ids=" ".join)
@pytest.mark.parametrize("instructions", ["avx2", "avx512f"])
def test_draws_in_vectors_are_the_papers(compile_c, instructions, flags):
    library = compile_c(VECTORS, "-std=c99", *flags)
    rng = np.random.default_rng(7)
    for key, step, first, site in zip(
        rng.integers(0, 2**64, 50, np.uint64).tolist(),
        [0, -1, *rng.integers(0, 2**53, 48).tolist()],
        [0, 2**32 - 5, 2**31 - 1, *rng.integers(0, 2**40, 47).tolist()],
        [0, 65535, *rng.integers(0, 2**16, 48).tolist()],
        strict=True,
    ):
        asked = ctypes.c_uint64(key), ctypes.c_int64(step), ctypes.c_int64(first), ctypes.c_int32(site)
        drawn, plain = np.zeros((64, 4), np.uint32), np.zeros((64, 4), np.uint32)
        count = library.draw(instructions == "avx512f", *asked, ctypes.c_void_p(drawn.ctypes.data))
        if count == 0:
            pytest.skip(f"this processor or compiler makes no vectors of {instructions}")
        library.in_c(*asked, ctypes.c_void_p(plain.ctypes.data))
        wanted = [philox([first + i & MASK, step & MASK, step >> 32 & MASK, site], key) for i in range(count)]
        assert [tuple(x) for x in drawn[:count].tolist()] == wanted == [tuple(x) for x in plain[:count].tolist()]
        assert not drawn[count:].any()
