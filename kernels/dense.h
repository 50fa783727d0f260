/* Delivery over matrices and convolutions, in vector code: what one spike adds lies side by side.
 *
 * Every function exists for accumulators of 32 and of 64 bits. ids: source neurons. payload: their values, or NULL where every
 * spike is worth 1. They return how many synaptic events there were. */
#ifndef NEUROCOMP_DENSE_H
#define NEUROCOMP_DENSE_H
#include "clones.h"
#include <stddef.h>
#include <stdint.h>

#define NC_LANES 8    /* channels added in one go */
#define NC_TOGETHER 4 /* rows added in one pass: each accumulator is loaded and stored once for them */

/* A convolution; the taps of one axis say which outputs an input coordinate reaches. */
typedef struct {
    int32_t plane, width;             /* of the input: height x width, and width */
    int32_t out_plane, out_width;
    int32_t group_in, group_out;      /* channels of a group */
    int32_t kernel_height, kernel_width;
    const int32_t *y_first, *x_first; /* offsets into the taps of each input row and column */
    const int32_t *y_taps, *x_taps;   /* pairs (kernel row or column, output row or column) */
    const int32_t *weights;           /* (input channel, kernel row, kernel column, output channel of the group) grid units */
} nc_patches;

static inline int64_t nc_least(int64_t x, int64_t y) { return x < y ? x : y; }
static inline int64_t nc_most(int64_t x, int64_t y) { return x > y ? x : y; }

#define NC_DENSE(bits, acc_t)                                                                                                 \
    /* All-to-all: targets lo..hi of one contiguous row per source; `rows` says which (-1: none), NULL: its own */            \
    NC_CLONES static int64_t nc_add_rows_##bits(                                                                              \
        acc_t *restrict acc, const int32_t *restrict weights, const int32_t *rows, int64_t n_post, int64_t lo, int64_t hi,    \
        const int32_t *ids, const int32_t *payload, int64_t count                                                             \
    ) {                                                                                                                       \
        const int64_t n = hi - lo;                                                                                            \
        int64_t done = 0;                                                                                                     \
        for (int64_t i = 0; i < count;) {                                                                                     \
            const int32_t *row[NC_TOGETHER];                                                                                  \
            acc_t factor[NC_TOGETHER];                                                                                        \
            int many = 0;                                                                                                     \
            for (; i < count && many < NC_TOGETHER; i++) {                                                                    \
                const int64_t number = rows == NULL ? ids[i] : rows[ids[i]];                                                  \
                if (number < 0) continue;                                                                                     \
                row[many] = weights + number * n_post + lo;                                                                   \
                factor[many++] = payload == NULL ? 1 : payload[i];                                                            \
            }                                                                                                                 \
            done += many * n;                                                                                                 \
            if (many == NC_TOGETHER && payload == NULL) {                                                                     \
                for (int64_t j = 0; j < n; j++) acc[j] += ((acc_t)row[0][j] + row[1][j]) + ((acc_t)row[2][j] + row[3][j]);    \
                continue;                                                                                                     \
            }                                                                                                                 \
            for (int k = 0; k < many; k++)                                                                                    \
                if (payload == NULL)                                                                                          \
                    for (int64_t j = 0; j < n; j++) acc[j] += row[k][j];                                                      \
                else                                                                                                          \
                    for (int64_t j = 0; j < n; j++) acc[j] += row[k][j] * factor[k];                                          \
        }                                                                                                                     \
        return done;                                                                                                          \
    }                                                                                                                         \
    /* Convolution: the kernel around each spike, into sums (output place, channel lo..hi) */                                 \
    NC_CLONES static int64_t nc_add_patches_##bits(                                                                           \
        acc_t *restrict sums, const nc_patches *conv, int64_t lo, int64_t hi, const int32_t *ids, const int32_t *payload,     \
        int64_t count                                                                                                         \
    ) {                                                                                                                       \
        int64_t done = 0;                                                                                                     \
        for (int64_t i = 0; i < count; i++) {                                                                                 \
            const int64_t c = ids[i] / conv->plane, at = ids[i] % conv->plane, y = at / conv->width, x = at % conv->width;    \
            const int64_t first = c / conv->group_in * conv->group_out;                                                       \
            const int64_t begin = nc_most(first, lo), n = nc_least(first + conv->group_out, hi) - begin;                      \
            if (n <= 0) continue;                                                                                             \
            const acc_t factor = payload == NULL ? 1 : payload[i];                                                            \
            for (int32_t row = conv->y_first[y]; row < conv->y_first[y + 1]; row++) {                                         \
                const int64_t ky = (c * conv->kernel_height + conv->y_taps[2 * row]) * conv->kernel_width;                    \
                for (int32_t column = conv->x_first[x]; column < conv->x_first[x + 1]; column++) {                            \
                    const int64_t place = conv->y_taps[2 * row + 1] * conv->out_width + conv->x_taps[2 * column + 1];         \
                    const int32_t *values = conv->weights + (ky + conv->x_taps[2 * column]) * conv->group_out + begin - first; \
                    acc_t *to = sums + place * (hi - lo) + begin - lo;                                                        \
                    int64_t channel = 0;                                                                                      \
                    for (; channel + NC_LANES <= n; channel += NC_LANES)                                                      \
                        for (int lane = 0; lane < NC_LANES; lane++) to[channel + lane] += values[channel + lane] * factor;    \
                    for (; channel < n; channel++) to[channel] += values[channel] * factor;                                   \
                }                                                                                                             \
            }                                                                                                                 \
            done += n * (conv->y_first[y + 1] - conv->y_first[y]) * (conv->x_first[x + 1] - conv->x_first[x]);                \
        }                                                                                                                     \
        return done;                                                                                                          \
    }                                                                                                                         \
    /* Add such sums to accumulators (channel, output place), and clear them */                                               \
    NC_CLONES static void nc_spread_##bits(acc_t *restrict acc, acc_t *restrict sums, int64_t plane, int64_t channels) {      \
        for (int64_t channel = 0; channel < channels; channel++)                                                              \
            for (int64_t place = 0; place < plane; place++) acc[channel * plane + place] += sums[place * channels + channel]; \
        for (int64_t j = 0; j < plane * channels; j++) sums[j] = 0;                                                           \
    }                                                                                                                         \
    /* Add the floor of scratch / 2**shift, and clear the scratch */                                                          \
    NC_CLONES static void nc_add_shifted_##bits(acc_t *restrict acc, acc_t *restrict scratch, int64_t n, int shift) {         \
        for (int64_t j = 0; j < n; j++) {                                                                                     \
            acc[j] += scratch[j] >> shift;                                                                                    \
            scratch[j] = 0;                                                                                                   \
        }                                                                                                                     \
    }
NC_DENSE(narrow, int32_t)
NC_DENSE(wide, int64_t)
#endif
