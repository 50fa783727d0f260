/* Poisson counts, by Philox. */
#ifndef NEUROCOMP_POISSON_H
#define NEUROCOMP_POISSON_H
#include "draws.h"
#ifdef NC_IS_CLONED
#include <immintrin.h>
#endif
#include <stddef.h>
#include <string.h>

#define NC_INVERSION 32.0 /* means below: inversion; from here: rejection, which is made for means from 10 on */
#define NC_NORMAL 1e15    /* means above: the normal distribution, whose error of 1 / sqrt(mean) nobody can measure */

/* Draws of one site, by attempt (nc_draws makes those of NC_COARSE): 16 bits for each of eight neighbours, which nearly always
 * decide; the 37 bits below those; attempts */
enum { NC_COARSE, NC_FINE, NC_ATTEMPT };

/* The 16 bits of number i = 0..7 in a draw of eight */
NC_INLINE uint32_t nc_half(nc_words x, uint32_t i) {
    const uint32_t left = i & 2 ? x.b : x.a, right = i & 2 ? x.d : x.c, word = i & 4 ? right : left;
    return i & 1 ? word >> 16 : word & UINT32_C(0xffff);
}

/* A uniform number in [0, 1) of 16 + 37 bits */
NC_INLINE double nc_poisson_uniform(uint64_t key, int64_t step, int64_t neuron, int32_t site) {
    const uint32_t coarse = nc_half(nc_draw(key, step, neuron >> 3, site, NC_COARSE), (uint32_t)neuron & 7);
    const nc_words fine = nc_draw(key, step, neuron, site, NC_FINE);
    const double below = (double)(int32_t)(fine.a >> 5) * 0x1p-27 + (double)(int32_t)(fine.b >> 22) * 0x1p-37;
    return ((double)(int32_t)coarse + below) * 0x1p-16;
}

/* The count of partial sums of the distribution that u has reached, for 0 <= mean < NC_INVERSION */
NC_INLINE double nc_poisson_inversion(double u, double mean) {
    double count = 0.0, term = nc_exp(-mean), sum = term, before = 0.0;
    while (u >= sum && sum > before) { /* a sum that grows no more would never reach u */
        count += 1.0;
        term *= mean * (1.0 / count);
        before = sum;
        sum += term;
    }
    return count;
}

/* log(P(k)) of a mean >= NC_INVERSION: from the factorial, or around the mean by Stirling's series for it */
static inline double nc_poisson_log(double k, double mean) {
    if (k < 16.0) {
        double factorial = 1.0;
        for (double i = 2.0; i <= k; i += 1.0) factorial *= i;
        return k * nc_log(mean) - mean - nc_log(factorial);
    }
    const double t = (k - mean) / mean, z = 1.0 / (k * k);
    const double stirling = (1.0 / 12.0 - z * (1.0 / 360.0 - z * (1.0 / 1260.0 - z * (1.0 / 1680.0)))) / k;
    return -mean * ((1.0 + t) * nc_log1p(t) - t) - 0.5 * nc_log(6.283185307179586 * k) - stirling;
}

/* Transformed rejection with squeeze, PTRS: Hoermann, Insurance: Mathematics and Economics 12 (1993) 39-45; each attempt has
 * its own counter */
static inline double nc_poisson_rejection(uint64_t key, int64_t step, int64_t neuron, int32_t site, double mean) {
    const double b = 0.931 + 2.53 * __builtin_sqrt(mean), a = -0.059 + 0.02483 * b;
    const double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4), inside = 0.9277 - 3.6224 / (b - 2.0);
    for (uint32_t attempt = NC_ATTEMPT; attempt < 65536; attempt++) {
        const nc_words x = nc_draw(key, step, neuron, site, attempt);
        const double u = nc_53_bits(x.a, x.b) * 0x1p-53 - 0.5, v = nc_53_bits(x.c, x.d) * 0x1p-53;
        const double edge = 0.5 - nc_magnitude(u), k = nc_floor((2.0 * a / edge + b) * u + mean + 0.43);
        if (edge >= 0.07 && v <= inside) return k;
        if (!(k >= 0.0) || (edge < 0.013 && v > edge)) continue;
        if (nc_log(v * inverse_alpha / (a / (edge * edge) + b)) <= nc_poisson_log(k, mean)) return k;
    }
    return nc_floor(mean); /* an attempt fails with a probability below 0.3 */
}

/* A Poisson count for a mean >= NC_INVERSION */
static inline double nc_poisson_large(uint64_t key, int64_t step, int64_t neuron, int32_t site, double mean) {
    if (mean <= NC_NORMAL) return nc_poisson_rejection(key, step, neuron, site, mean);
    return mean < INFINITY ? nc_round(mean + __builtin_sqrt(mean) * nc_randn(key, step, neuron, site)) : mean;
}

/* A Poisson count; 0 where the mean is 0, negative or NaN */
NC_INLINE double nc_poisson(uint64_t key, int64_t step, int64_t neuron, int32_t site, double mean) {
    if (!(mean > 0.0)) return 0.0;
    if (mean >= NC_INVERSION) return nc_poisson_large(key, step, neuron, site, mean);
    return nc_poisson_inversion(nc_poisson_uniform(key, step, neuron, site), mean);
}

/* nc_poisson_inversion of n numbers in vector code: all go on until none has a sum to pass. Other means give 0. */
NC_INLINE void nc_poisson_inversions(ptrdiff_t n, const double *u, const double *mean, double *counts) {
    double rate[NC_BLOCK], term[NC_BLOCK], sum[NC_BLOCK];
    int64_t more = 0;
    for (ptrdiff_t j = 0; j < n; j++) {
        rate[j] = ((mean[j] > 0.0) & (mean[j] < NC_INVERSION)) ? mean[j] : 0.0;
        term[j] = sum[j] = nc_exp(-rate[j]);
        counts[j] = 0.0;
        more |= u[j] >= sum[j];
    }
    for (double count = 1.0; more; count += 1.0) {
        const double inverse = 1.0 / count;
        more = 0;
        for (ptrdiff_t j = 0; j < n; j++) {
            const double before = sum[j];
            counts[j] += u[j] >= before ? 1.0 : 0.0;
            term[j] *= rate[j] * inverse;
            sum[j] = before + term[j] > before ? before + term[j] : 1.0;
            more |= u[j] >= sum[j];
        }
    }
}

#define NC_SUMS 128
#define NC_RARE 0xffc0 /* coarse bits from which on a number is looked at alone: there is one in 1024, and the sums lie close */

/* Of one mean. sums: floor(65536 * sum) of the sums nc_poisson_inversion compares with, as long as 16 bits can tell. The guide gives,
 * by the upper five of the 16 bits, how many sums lie below, and the one sum that lies among those numbers, or 65535; in its second
 * half by the next five bits, where the upper five are all set. */
typedef struct {
    double mean;      /* 0 before the first */
    int32_t many, common; /* sums, and those below NC_RARE */
    int32_t guided;   /* whether no two sums share a place in the guide, but from NC_RARE on */
    uint16_t sums[NC_SUMS];
    uint16_t below[2][32], among[2][32];
} nc_counts;

/* Fill half of the guide: places of `width` numbers from `first` on. Returns whether it is one; the last place may not be. */
static inline int nc_poisson_guide(nc_counts *kept, int half, uint32_t first, uint32_t width) {
    int32_t k = 0, fits = 1;
    while (k < kept->many && kept->sums[k] < first) k++;
    for (int place = 0; place < 32; place++) {
        const uint32_t end = first + (uint32_t)(place + 1) * width;
        kept->below[half][place] = (uint16_t)k;
        kept->among[half][place] = k < kept->many && kept->sums[k] < end ? kept->sums[k] : UINT16_MAX;
        const int32_t before = k;
        while (k < kept->many && kept->sums[k] < end) k++;
        fits &= k - before < 2 || place == 31;
    }
    return fits;
}

/* Keep the sums of a mean, unless they are there from an earlier call */
static inline void nc_poisson_sums(nc_counts *kept, double mean) {
    if (kept->mean == mean) return;
    double term = nc_exp(-mean), sum = term;
    int32_t many = 0;
    while (sum < 0x1.fffep-1 && many < NC_SUMS - 1) {
        kept->sums[many++] = (uint16_t)(sum * 0x1p16);
        term *= mean * (1.0 / many);
        sum += term;
    }
    kept->sums[many] = 65535;
    kept->many = many + 1;
    kept->common = 0;
    while (kept->sums[kept->common] < NC_RARE) kept->common++;
    kept->guided = nc_poisson_guide(kept, 0, 0, 2048) & nc_poisson_guide(kept, 1, 0xf800, 64);
    kept->mean = mean;
}

/* Four times 16 bits, from the lowest on */
NC_INLINE void nc_quarters(uint64_t bits, uint16_t *to) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(to, &bits, sizeof bits);
#else
    for (int k = 0; k < 4; k++) to[k] = (uint16_t)(bits >> 16 * k);
#endif
}

#define NC_COARSE_BITS (8 * NC_AT_ONCE) /* neurons whose coarse bits are drawn together */

/* The coarse bits of neurons first .. first + NC_COARSE_BITS, where first is a multiple of eight */
NC_INLINE void nc_poisson_coarse(uint64_t key, int64_t step, int64_t first, int32_t site, uint16_t *coarse) {
    uint64_t words[2 * NC_AT_ONCE] NC_ALIGNED;
    nc_draws(key, step, first >> 3, site, words);
    for (int i = 0; i < 2 * NC_AT_ONCE; i++) nc_quarters(words[i], coarse + 4 * i);
}

/* From NC_BLOCK neurons' coarse bits, how many sums each has passed, but for `alone`, a bit each: numbers that equal a sum, or are
 * rare. */
NC_INLINE void nc_poisson_count(const uint16_t *coarse, const nc_counts *kept, uint16_t *counts, uint32_t *alone) {
    uint16_t above[NC_BLOCK] NC_ALIGNED;
    for (int j = 0; j < NC_BLOCK; j++) counts[j] = 0, above[j] = coarse[j] < NC_RARE;
    for (int k = 0; k < kept->common; k++) {
        const uint16_t sum = kept->sums[k];
        for (int j = 0; j < NC_BLOCK; j++) {
            const uint16_t by = (uint16_t)(coarse[j] - sum); /* modulo 2^16: 0 if equal */
            counts[j] = coarse[j] > sum ? (uint16_t)(counts[j] + 1) : counts[j];
            above[j] = above[j] < by ? above[j] : by;
        }
    }
    uint16_t least = UINT16_MAX;
    for (int j = 0; j < NC_BLOCK; j++) least = least < above[j] ? least : above[j];
    for (int k = 0; k < NC_BLOCK / 32; k++) alone[k] = 0;
    for (int j = 0; least == 0 && j < NC_BLOCK; j++) alone[j / 32] |= (uint32_t)(above[j] == 0) << j % 32;
}

/* The same by the guide: one instruction looks up 32 numbers. */
#ifdef NC_IS_CLONED
__attribute__((target("avx512bw"), unused)) static void nc_poisson_count_guided(
    const uint16_t *coarse, const nc_counts *kept, uint16_t *counts, uint32_t *alone
) {
    const __m512i below = _mm512_loadu_si512(kept->below[0]), among = _mm512_loadu_si512(kept->among[0]);
    const __m512i last_below = _mm512_loadu_si512(kept->below[1]), last_among = _mm512_loadu_si512(kept->among[1]);
    for (int k = 0; k < NC_BLOCK / 32; k++) {
        const __m512i x = _mm512_loadu_si512(coarse + 32 * k), place = _mm512_srli_epi16(x, 11);
        const __m512i last_place = _mm512_srli_epi16(x, 6); /* lookups read the lower five bits */
        const __mmask32 last = _mm512_cmpge_epu16_mask(x, _mm512_set1_epi16((short)0xf800));
        __m512i count = _mm512_permutexvar_epi16(place, below), sum = _mm512_permutexvar_epi16(place, among);
        count = _mm512_mask_permutexvar_epi16(count, last, last_place, last_below);
        sum = _mm512_mask_permutexvar_epi16(sum, last, last_place, last_among);
        count = _mm512_mask_add_epi16(count, _mm512_cmpgt_epu16_mask(x, sum), count, _mm512_set1_epi16(1));
        _mm512_storeu_si512(counts + 32 * k, count);
        alone[k] = _mm512_cmpeq_epi16_mask(x, sum) | _mm512_cmpge_epu16_mask(x, _mm512_set1_epi16((short)NC_RARE));
    }
}
#endif

/* From NC_BLOCK neurons' coarse bits, counts of one mean below NC_INVERSION for those from `begin` to `end`. first: the number of the
 * first of all. A neuron whose coarse bits are those of a sum needs its fine ones: one in some thousand. */
NC_INLINE void nc_poisson_block(
    const uint16_t *coarse, ptrdiff_t begin, ptrdiff_t end, uint64_t key, int64_t step, int64_t first, int32_t site,
    const nc_counts *kept, double *out
) {
    uint16_t counts[NC_BLOCK] NC_ALIGNED;
    uint32_t alone[NC_BLOCK / 32];
#ifdef NC_IS_CLONED
    if (kept->guided && __builtin_cpu_supports("avx512bw"))
        nc_poisson_count_guided(coarse, kept, counts, alone);
    else
#endif
        nc_poisson_count(coarse, kept, counts, alone);
    for (ptrdiff_t j = begin; j < end; j++) out[j - begin] = (double)(int32_t)counts[j];
    for (int word = 0; word < NC_BLOCK / 32; word++) {
        for (uint32_t left = alone[word]; left; left &= left - 1) {
            const ptrdiff_t j = 32 * word + __builtin_ctz(left);
            int32_t k = 0;
            while (coarse[j] > kept->sums[k]) k++; /* the last of them is 65535 */
            if (j >= begin && j < end)
                out[j - begin] = coarse[j] < kept->sums[k] ? (double)k : nc_poisson(key, step, first + j, site, kept->mean);
        }
    }
}

/* out[j] = nc_poisson(key, step, first + j, site, mean) for n neurons. kept: sums of an earlier call */
NC_INLINE void nc_poisson_same(
    ptrdiff_t n, uint64_t key, int64_t step, int64_t first, int32_t site, double mean, double *out, nc_counts *kept
) {
    if (!(mean > 0.0 && mean < NC_INVERSION)) {
        for (ptrdiff_t j = 0; j < n; j++) out[j] = nc_poisson(key, step, first + j, site, mean);
        return;
    }
    nc_poisson_sums(kept, mean);
    const ptrdiff_t skip = first & 7; /* eight neighbours share a draw */
    for (ptrdiff_t at = 0; at < skip + n; at += NC_COARSE_BITS) {
        uint16_t coarse[NC_COARSE_BITS] NC_ALIGNED;
        nc_poisson_coarse(key, step, first - skip + at, site, coarse);
        for (ptrdiff_t block = at; block < at + NC_COARSE_BITS && block < skip + n; block += NC_BLOCK) {
            const ptrdiff_t begin = block < skip ? skip - block : 0, left = skip + n - block, end = left < NC_BLOCK ? left : NC_BLOCK;
            nc_poisson_block(
                coarse + block - at, begin, end, key, step, first - skip + block, site, kept, out + block + begin - skip);
        }
    }
}

/* out[j] = nc_poisson(key, step, first + j, site, mean[j]) for n neurons, in vector code where means are below NC_INVERSION;
 * `out` must lie apart from `mean` */
NC_INLINE void nc_poisson_fill(
    ptrdiff_t n, uint64_t key, int64_t step, int64_t first, int32_t site, const double *mean, double *out
) {
    double u[NC_BLOCK];
    for (ptrdiff_t at = 0; at < n; at += NC_BLOCK) {
        const ptrdiff_t size = n - at < NC_BLOCK ? n - at : NC_BLOCK;
        for (ptrdiff_t j = 0; j < size; j++) u[j] = nc_poisson_uniform(key, step, first + at + j, site);
        nc_poisson_inversions(size, u, mean + at, out + at);
        for (ptrdiff_t j = 0; j < size; j++) {
            const double large = mean[at + j];
            if (large >= NC_INVERSION) out[at + j] = nc_poisson_large(key, step, first + at + j, site, large);
        }
    }
}

#endif
