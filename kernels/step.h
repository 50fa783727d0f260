/* What compiled state updates call, and the shape they have. Nothing here or in what it includes needs libm. */
#ifndef NEUROCOMP_STEP_H
#define NEUROCOMP_STEP_H
#include "clones.h"
#include "maths.h"
#include "poisson.h"
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* float32 states that decay towards zero would soon be subnormal numbers, which processors compute a hundred times slower; so after
 * every NC_TIDY steps they become zero below NC_TINY: TIDY_STEPS and TINY of ir/program.py. */
#define NC_TIDY 32
#define NC_TINY 0x1p-100f

#define NC_PART 512 /* CHUNK of loop.pxd: neurons an update takes at a time, at most */

/* What an update may ask about the step it computes. */
typedef struct {
    int64_t step;  /* number of the step, from 0 at the last reset */
    int64_t first; /* number of the first neuron of this call */
    uint64_t key;  /* of the population's random numbers */
    double t;      /* time of the step, in seconds */
    int alike;     /* whether each constant is one number for all neurons (and who waits is listed, in updates that ask for it) */
    nc_counts *counts; /* what Poisson counts keep from call to call */
    void *context; /* of updates that are not compiled */
    /* For updates that say so, of neurons that are alike: */
    int32_t *const *sums;       /* accumulators of each input, to be read and set to their bias, instead of inputs; or NULL */
    const int32_t *const *bias;
    double unit;                /* value of 1 in an accumulator */
    /* The neurons that wait, numbered within this call, those that end first before others; the last step they wait in; and what
     * they hold, NC_PART values a state. Meanwhile the state that counts down stays as it was when they entered the list. */
    uint16_t *who;
    int64_t *until;
    void *held;
    int32_t *waiting;           /* how many they are */
} nc_now;

/* One step of n <= NC_PART neurons. inputs, state, constants: arrays of n float64 (float32 or int64 in the other
 * arithmetics). Returns how many have fired, and writes their numbers within the call to ids, ascending, and what graded neurons
 * send to payload; both have room for n. */
typedef int (*nc_update)(ptrdiff_t n, const void *const *inputs, void *const *state, const void *const *constants,
                         const nc_now *now, int32_t *ids, int32_t *payload);

#define NC_GROUP 64

/* List which of the flags of numbers at .. end, at most NC_GROUP, are 1; returns how many. The flags behind them are 0. */
static inline int nc_list(const unsigned char *fired, ptrdiff_t at, ptrdiff_t end, int32_t *ids) {
    int count = 0;
    for (ptrdiff_t j = at; j < end; j += 8) {
        uint64_t word;
        memcpy(&word, fired + (j - at), sizeof word);
        for (ptrdiff_t i = j; word != 0 && i < j + 8 && i < end; i++) {
            ids[count] = (int32_t)i;
            count += fired[i - at];
        }
    }
    return count;
}

/* List which of n flags are 1, and with them what was sent, unless that is NULL; returns how many. Flags are looked at 64 at a
 * time, then eight, as few are set. ids and payload have room for n. */
static inline int nc_compact(const unsigned char *fired, const int32_t *sent, ptrdiff_t n, int32_t *ids, int32_t *payload) {
    int count = 0;
    for (ptrdiff_t at = 0; at < n; at += 64) {
        uint64_t words[8] = {0};
        memcpy(words, fired + at, (size_t)(n - at < 64 ? n - at : 64));
        if ((words[0] | words[1] | words[2] | words[3] | words[4] | words[5] | words[6] | words[7]) == 0) continue;
        for (ptrdiff_t j = at; j < n && j < at + 64; j++) {
            if (j % 8 == 0 && words[(j - at) / 8] == 0) {
                j += 7;
                continue;
            }
            ids[count] = (int32_t)j;
            if (payload != NULL) payload[count] = sent[j];
            count += fired[j];
        }
    }
    return count;
}

/* The steps a neuron waits whose state, at most 2^24, counts down to zero, and what is left after them: x - 1 - 1 - ..., where but
 * the last difference is exact */
static inline int64_t nc_steps_float(double x) { return (int64_t)x + ((double)(int64_t)x < x); }
static inline int64_t nc_steps_float32(float x) { return nc_steps_float((double)x); }
static inline int64_t nc_steps_loihi(int64_t x) { return x; }
static inline double nc_waited_float(double x) { return x - (double)(nc_steps_float(x) - 1) - 1.0; }
static inline float nc_waited_float32(float x) { return x - (float)(nc_steps_float32(x) - 1) - 1.0f; }
static inline int64_t nc_waited_loihi(int64_t x) { return x - (nc_steps_loihi(x) - 1) - 1; }

/* A uniform number's upper 24 bits */
static inline float nc_cut(double u) { return (float)(int32_t)(u * 0x1p24) * 0x1p-24f; }

static inline double nc_min_float(double x, double y) { return x < y ? x : y; }
static inline double nc_max_float(double x, double y) { return x > y ? x : y; }
static inline float nc_min_float32(float x, float y) { return x < y ? x : y; }
static inline float nc_max_float32(float x, float y) { return x > y ? x : y; }
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
