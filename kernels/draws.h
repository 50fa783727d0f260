/* Random numbers of many neighbours at once. */
#ifndef NEUROCOMP_DRAWS_H
#define NEUROCOMP_DRAWS_H
#include "philox.h"
#include <stddef.h>
#include <string.h>

#define NC_AT_ONCE 32 /* draws of Philox made together: four vectors of AVX-512, as a product takes long */

/* The words of the first attempt of neurons first .. first + NC_AT_ONCE: a and b of number i in to[2 * i], the former below,
 * c and d in the next */
NC_INLINE void nc_draws_in_c(uint64_t key, int64_t step, int64_t first, int32_t site, uint64_t *to) {
    for (int i = 0; i < NC_AT_ONCE; i++) {
        const nc_lanes x = nc_draw_lanes(key, step, first + i, site, 0);
        to[2 * i] = nc_low(x.a) | x.b << 32;
        to[2 * i + 1] = nc_low(x.c) | x.d << 32;
    }
}

/* A round needs products of the lower halves of 64-bit lanes, which is one instruction; but GCC multiplies 64 by 64 bits, three
 * times the work, as it does not see that the upper halves are zero. So these functions name the instruction. */
#ifdef NC_IS_CLONED
#define NC_DRAWS_IN(isa, lanes, many, registers)                                                                             \
    typedef uint64_t nc_vector_##isa __attribute__((vector_size(8 * lanes)));                                                \
    __attribute__((target(#isa), unused)) static void nc_draws_##isa(                                                        \
        uint64_t key, int64_t step, int64_t first, int32_t site, uint64_t *to) {                                             \
        const nc_vector_##isa zero = {0}, by_a = zero + UINT32_C(0xd2511f53), by_c = zero + UINT32_C(0xcd9e8d57);            \
        for (int at = 0; at < NC_AT_ONCE; at += many * lanes) {                                                              \
            nc_vector_##isa a[many], b[many], c[many], d[many];                                                              \
            uint32_t key_lo = (uint32_t)key, key_hi = (uint32_t)(key >> 32);                                                 \
            for (int v = 0; v < many; v++) {                                                                                 \
                a[v] = zero + (uint64_t)(first + at + v * lanes);                                                            \
                for (int i = 0; i < lanes; i++) a[v][i] += (uint64_t)i;                                                      \
                b[v] = zero + (uint64_t)step, c[v] = zero + ((uint64_t)step >> 32), d[v] = zero + (uint16_t)site;            \
            }                                                                                                                \
            for (int round = 0; round < 10; round++) {                                                                       \
                for (int v = 0; v < many; v++) {                                                                             \
                    nc_vector_##isa p, q;                                                                                    \
                    __asm__("vpmuludq {%2, %1, %0|%0, %1, %2}" : "=" registers(p) : registers(a[v]), registers(by_a));       \
                    __asm__("vpmuludq {%2, %1, %0|%0, %1, %2}" : "=" registers(q) : registers(c[v]), registers(by_c));       \
                    a[v] = (q >> 32) ^ b[v] ^ (zero + key_lo), c[v] = (p >> 32) ^ d[v] ^ (zero + key_hi);                    \
                    b[v] = q, d[v] = p;                                                                                      \
                }                                                                                                            \
                key_lo += UINT32_C(0x9e3779b9), key_hi += UINT32_C(0xbb67ae85);                                              \
            }                                                                                                                \
            for (int v = 0; v < many; v++) {                                                                                 \
                const nc_vector_##isa low = (a[v] & UINT32_MAX) | b[v] << 32, high = (c[v] & UINT32_MAX) | d[v] << 32;       \
                for (int i = 0; i < lanes; i++, to += 2) to[0] = low[i], to[1] = high[i];                                    \
            }                                                                                                                \
        }                                                                                                                    \
    }

NC_DRAWS_IN(avx512f, 8, 4, "v")
NC_DRAWS_IN(avx2, 4, 2, "x")

NC_INLINE void nc_draws(uint64_t key, int64_t step, int64_t first, int32_t site, uint64_t *to) {
    if (__builtin_cpu_supports("avx512f")) {
        nc_draws_avx512f(key, step, first, site, to);
    } else if (__builtin_cpu_supports("avx2")) {
        nc_draws_avx2(key, step, first, site, to);
    } else {
        nc_draws_in_c(key, step, first, site, to);
    }
}
#else
NC_INLINE void nc_draws(uint64_t key, int64_t step, int64_t first, int32_t site, uint64_t *to) {
    nc_draws_in_c(key, step, first, site, to);
}
#endif

/* out[j] = nc_rand(key, step, first + j, site) for n neurons, and nc_randn */
#define NC_FILL(name)                                                                                                        \
    NC_INLINE void name##_fill(ptrdiff_t n, uint64_t key, int64_t step, int64_t first, int32_t site, double *out) {          \
        for (ptrdiff_t at = 0; at < n; at += NC_AT_ONCE) {                                                                   \
            uint64_t words[2 * NC_AT_ONCE] NC_ALIGNED;                                                                       \
            double part[NC_AT_ONCE] NC_ALIGNED;                                                                              \
            nc_draws(key, step, first + at, site, words);                                                                    \
            for (int i = 0; i < NC_AT_ONCE; i++) {                                                                           \
                const uint64_t low = words[2 * i], high = words[2 * i + 1];                                                  \
                const nc_words x = {(uint32_t)low, (uint32_t)(low >> 32), (uint32_t)high, (uint32_t)(high >> 32)};           \
                part[i] = name##_of(x);                                                                                      \
            }                                                                                                                \
            memcpy(out + at, part, sizeof(double) * (size_t)(n - at < NC_AT_ONCE ? n - at : NC_AT_ONCE));                    \
        }                                                                                                                    \
    }

NC_FILL(nc_rand)
NC_FILL(nc_randn)

#endif
