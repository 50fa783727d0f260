/* What an update takes from the accumulators, and the spikes it leaves. */
#ifndef NEUROCOMP_INPUTS_H
#define NEUROCOMP_INPUTS_H
#include "clones.h"
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Move n sums into the update's input, as float64 times the grid's unit or as int64, and leave the bias */
#define NC_TAKE(name, sum, type, value)                                                                       \
    NC_CLONES static void name(sum *restrict acc, const sum *restrict bias, type *restrict a, ptrdiff_t n, double unit) { \
        (void)unit;                                                                                           \
        for (ptrdiff_t j = 0; j < n; j++) a[j] = value;                                                       \
        memcpy(acc, bias, (size_t)n * sizeof(sum));                                                           \
    }
NC_TAKE(nc_take_narrow, int32_t, double, (double)acc[j] * unit)
NC_TAKE(nc_take_wide, int64_t, double, (double)acc[j] * unit)
NC_TAKE(nc_take_narrow_whole, int32_t, int64_t, acc[j])
NC_TAKE(nc_take_wide_whole, int64_t, int64_t, acc[j])

/* Write base + j for every one of n flags that is 1, and its payload unless that is NULL; returns how many. Flags are looked at
 * 64 at a time, then eight, as few are set. */
static inline int64_t nc_compact(
    const unsigned char *fired, const int32_t *sent, int64_t n, int64_t base, int32_t *ids, int32_t *payload
) {
    int64_t count = 0;
    for (int64_t at = 0; at < n; at += 64) {
        uint64_t words[8] = {0};
        memcpy(words, fired + at, (size_t)(n - at < 64 ? n - at : 64));
        if ((words[0] | words[1] | words[2] | words[3] | words[4] | words[5] | words[6] | words[7]) == 0) continue;
        for (int64_t j = at; j < n && j < at + 64; j++) {
            if (j % 8 == 0 && words[(j - at) / 8] == 0) {
                j += 7;
                continue;
            }
            ids[count] = (int32_t)(base + j);
            if (payload != NULL) payload[count] = sent[j];
            count += fired[j];
        }
    }
    return count;
}
#endif
