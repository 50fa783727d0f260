/* Random numbers that are a function of who asks and when: Philox 4x32-10, and draws from it.
 *
 * Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3. SC'11, doi:10.1145/2063384.2063405.
 *
 * The key is a population's 64 bits; the counter is the neuron, the step in two words, and the site: the number of the call in
 * the equations. No state is kept, so a draw is the same however neurons are cut into chunks, threads and machines. The words
 * hold neuron modulo 2^32 and site modulo 2^16: the upper half of that word numbers the draws of nc_poisson. */
#ifndef NEUROCOMP_PHILOX_H
#define NEUROCOMP_PHILOX_H
#include "maths.h"

#define NC_BLOCK 128 /* numbers worked on at once where a function needs room for them */

typedef struct {
    uint32_t a, b, c, d;
} nc_words;

/* Four words in the lower halves of 64-bit lanes, above them anything: a product of two lanes then has both halves that a round
 * needs, and vector code moves nothing between lanes. */
typedef struct {
    uint64_t a, b, c, d;
} nc_lanes;

NC_INLINE uint64_t nc_low(uint64_t x) { return x & UINT32_MAX; }

/* One round: two products of 32 by 32 bits, their halves crossed over and mixed with the key. */
NC_INLINE nc_lanes nc_philox_round(nc_lanes x, uint32_t key_lo, uint32_t key_hi) {
    const uint64_t p = nc_low(x.a) * UINT32_C(0xd2511f53), q = nc_low(x.c) * UINT32_C(0xcd9e8d57);
    const nc_lanes mixed = {(q >> 32) ^ x.b ^ key_lo, q, (p >> 32) ^ x.d ^ key_hi, p};
    return mixed;
}

/* The key of round `number`: it walks in steps of the golden ratio and of sqrt(3) - 1. */
NC_INLINE nc_lanes nc_philox_turn(nc_lanes x, uint64_t key, uint32_t number) {
    const uint32_t lo = (uint32_t)key + UINT32_C(0x9e3779b9) * number;
    const uint32_t hi = (uint32_t)(key >> 32) + UINT32_C(0xbb67ae85) * number;
    return nc_philox_round(x, lo, hi);
}

NC_INLINE nc_words nc_words_of(nc_lanes x) {
    const nc_words words = {(uint32_t)x.a, (uint32_t)x.b, (uint32_t)x.c, (uint32_t)x.d};
    return words;
}

/* Philox 4x32-10; written out, as vector code wants no inner loop */
NC_INLINE nc_lanes nc_philox(nc_lanes x, uint64_t key) {
    x = nc_philox_turn(x, key, 0);
    x = nc_philox_turn(x, key, 1);
    x = nc_philox_turn(x, key, 2);
    x = nc_philox_turn(x, key, 3);
    x = nc_philox_turn(x, key, 4);
    x = nc_philox_turn(x, key, 5);
    x = nc_philox_turn(x, key, 6);
    x = nc_philox_turn(x, key, 7);
    x = nc_philox_turn(x, key, 8);
    return nc_philox_turn(x, key, 9);
}

NC_INLINE nc_lanes nc_draw_lanes(uint64_t key, int64_t step, int64_t neuron, int32_t site, uint32_t attempt) {
    const uint32_t where = ((uint32_t)site & UINT32_C(0xffff)) | attempt << 16;
    const nc_lanes counter = {(uint64_t)neuron, (uint64_t)step, (uint64_t)step >> 32, where};
    return nc_philox(counter, key);
}

NC_INLINE nc_words nc_draw(uint64_t key, int64_t step, int64_t neuron, int32_t site, uint32_t attempt) {
    return nc_words_of(nc_draw_lanes(key, step, neuron, site, attempt));
}

/* The upper 53 bits of two words as a whole number: 27 and 26 bits, as there are vector conversions of small integers only */
NC_INLINE double nc_53_bits(uint32_t high, uint32_t low) {
    return (double)(int32_t)(high >> 5) * 0x1p26 + (double)(int32_t)(low >> 6);
}

/* A uniform number in [0, 1), a multiple of 2^-53 */
NC_INLINE double nc_rand_of(nc_words x) { return nc_53_bits(x.a, x.b) * 0x1p-53; }

NC_INLINE double nc_rand(uint64_t key, int64_t step, int64_t neuron, int32_t site) {
    return nc_rand_of(nc_draw(key, step, neuron, site, 0));
}

/* A standard normal number, by Box and Muller: sqrt(-2 log(u)) cos(2 pi v) with u in (0, 1] and v in [0, 1) of 53 bits each.
 * Its tails end at +-8.57, where the normal distribution has 1e-17 left. */
NC_INLINE double nc_randn_of(nc_words x) {
    const double u = (nc_53_bits(x.a, x.b) + 1.0) * 0x1p-53;
    const double quarters = nc_53_bits(x.c, x.d) * 0x1p-51, shifted = quarters + NC_MAGIC;
    const nc_pair angle = {(quarters - (shifted - NC_MAGIC)) * 0x1.921fb54442d18p+0, 0.0};
    return __builtin_sqrt(-2.0 * nc_log_normal(u)) * nc_sin_quadrant(angle, nc_bits(shifted) + 1);
}

NC_INLINE double nc_randn(uint64_t key, int64_t step, int64_t neuron, int32_t site) {
    return nc_randn_of(nc_draw(key, step, neuron, site, 0));
}

#endif
