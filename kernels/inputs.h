/* What an update needs before it: its input from the accumulators, and who waits. */
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

/* List who of n <= NC_PART neurons waits: whose value is above zero. Returns how many, or -1 where a value is not a number, which
 * neither waits nor does not. */
static inline int32_t nc_list_waiting(const double *left, ptrdiff_t n, uint16_t *who) {
    int32_t count = 0;
    for (ptrdiff_t j = 0; j < n; j++) {
        if (left[j] != left[j]) return -1;
        if (left[j] > 0.0) who[count++] = (uint16_t)j;
    }
    return count;
}
static inline int32_t nc_list_whole(const int64_t *left, ptrdiff_t n, uint16_t *who) {
    int32_t count = 0;
    for (ptrdiff_t j = 0; j < n; j++) {
        if (left[j] > 0) who[count++] = (uint16_t)j;
    }
    return count;
}
#endif
