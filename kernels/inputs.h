/* What an update needs around it: its input from the accumulators, and an end to states that fade away. */
#ifndef NEUROCOMP_INPUTS_H
#define NEUROCOMP_INPUTS_H
#include "clones.h"
#include "step.h"
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Move n sums into the update's input, as floats times the grid's unit or as int64, and leave the bias. float32: the grid makes sure
 * that the unit and all sums are normal numbers of it, so the product is exact and only the sum itself is rounded. */
#define NC_TAKE(name, sum, type, value)                                                                       \
    NC_CLONES static void name(sum *restrict acc, const sum *restrict bias, type *restrict a, ptrdiff_t n, double unit) { \
        (void)unit;                                                                                           \
        for (ptrdiff_t j = 0; j < n; j++) a[j] = value;                                                       \
        memcpy(acc, bias, (size_t)n * sizeof(sum));                                                           \
    }
NC_TAKE(nc_take_narrow, int32_t, double, (double)acc[j] * unit)
NC_TAKE(nc_take_wide, int64_t, double, (double)acc[j] * unit)
NC_TAKE(nc_take_narrow_single, int32_t, float, (float)acc[j] * (float)unit)
NC_TAKE(nc_take_wide_single, int64_t, float, (float)acc[j] * (float)unit)
NC_TAKE(nc_take_narrow_whole, int32_t, int64_t, acc[j])
NC_TAKE(nc_take_wide_whole, int64_t, int64_t, acc[j])

/* See NC_TINY */
NC_CLONES static void nc_tidy(float *x, ptrdiff_t n) {
    for (ptrdiff_t j = 0; j < n; j++) x[j] = __builtin_fabsf(x[j]) < NC_TINY ? 0.0f : x[j];
}

#endif
