/* What compiled state updates call, and the shape they have. Nothing here or in what it includes needs libm. */
#ifndef NEUROCOMP_STEP_H
#define NEUROCOMP_STEP_H
#include "clones.h"
#include "maths.h"
#include "philox.h"
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define NC_PART 512 /* CHUNK of loop.pxd: neurons an update takes at a time, at most */

/* What an update may ask about the step it computes. */
typedef struct {
    int64_t step;  /* number of the step, from 0 at the last reset */
    int64_t first; /* number of the first neuron of this call */
    uint64_t key;  /* of the population's random numbers */
    double t;      /* time of the step, in seconds */
    int alike;     /* whether each constant is one number for all neurons */
    nc_counts *counts; /* what Poisson counts keep from call to call */
    void *context; /* of updates that are not compiled */
} nc_now;

/* One step of n <= NC_PART neurons. inputs, state, constants: arrays of n float64 (int64 for Loihi arithmetic). fired, payload: n
 * values to write, payload only of graded neurons. Returns 0 if none has fired; then nothing need be written there. */
typedef int (*nc_update)(ptrdiff_t n, const void *const *inputs, void *const *state, const void *const *constants,
                         const nc_now *now, unsigned char *fired, int32_t *payload);

static inline double nc_min_float(double x, double y) { return x < y ? x : y; }
static inline double nc_max_float(double x, double y) { return x > y ? x : y; }
static inline int64_t nc_min_loihi(int64_t x, int64_t y) { return x < y ? x : y; }
static inline int64_t nc_max_loihi(int64_t x, int64_t y) { return x > y ? x : y; }
static inline int64_t nc_abs_loihi(int64_t x) { return x < 0 ? -x : x; }
/* Loihi's integer rules, as in Lava's bit-accurate models (lava/proc/lif/models.py, AbstractPyLifModelFixed). */
/* x * (4096 - d) / 4096, truncated toward zero */
static inline int64_t nc_decay12(int64_t x, int64_t d) { return (x * (4096 - d)) / 4096; }
/* one wrap into (-2^23, 2^23], as the 24-bit current register does */
static inline int64_t nc_wrap24(int64_t x) {
    return x > 8388608 ? x - 16777216 : (x <= -8388608 ? x + 16777216 : x);
}
/* saturation at +-(2^23 - 1), as the 24-bit voltage register does */
static inline int64_t nc_clip24(int64_t x) { return x > 8388607 ? 8388607 : (x < -8388607 ? -8388607 : x); }
/* x << e for e >= 0, else the arithmetic x >> -e (floor) */
static inline int64_t nc_shift(int64_t x, int64_t e) {
    return e >= 0 ? (int64_t)((uint64_t)x << e) : x >> -e;
}
#endif
