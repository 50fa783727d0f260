/* Loihi's learning engine on one thread's synapses: what backends/loihi_learning.py says in NumPy, in the same integers. */
#ifndef NEUROCOMP_LOIHI_H
#define NEUROCOMP_LOIHI_H
#include <string.h>
#include "learning.h"

#define NC_PRE 2    /* traces x1, x2 of each row */
#define NC_POST 3   /* traces y1, y2, y3 of each target */
#define NC_VALUES 128 /* of a trace */
#define NC_TOP 32768  /* of the accumulator, in which a weight of 1 is 128 */

/* The columns of a step's random numbers. */
enum { NC_PRE_DECAY, NC_PRE_IMPULSE, NC_POST_AGAIN, NC_POST_DECAY, NC_POST_IMPULSE, NC_WEIGHT, NC_DRAWS };

typedef struct {
    int32_t target;     /* 0: the weight, 1: the tag */
    int32_t dependency; /* 0: an arrival, 1: a spike of the target, 2: every period-th epoch */
    int32_t mantissa, right, left;
    int32_t begin, end; /* its factors */
} nc_engine_product;

typedef struct {
    int32_t what; /* 0..1: traces of rows, 2..4: of targets, 5: the weight, 6: the tag */
    int32_t constant, sign;
    int32_t top; /* its range is -top .. top - 1 */
} nc_engine_factor;

typedef struct {
    int64_t epoch, period;  /* steps of an epoch; epochs between those that are counted, 0: none is */
    int64_t low, high;      /* of weights */
    int64_t rows, lo, hi;   /* rows; the thread's targets */
    int64_t n_products;     /* 0: no engine */
    const nc_engine_product *products;
    const nc_engine_factor *factors;
    const int64_t *whole;   /* by trace and value: whole part and fraction of the value a step later */
    const double *fraction;
    const int64_t *impulse, *chance; /* by trace: whole part, and 256ths */
    uint8_t *pre, *post;           /* (epoch + 1) x traces x rows or targets: the traces now, then after each step of the epoch */
    uint8_t *pre_last, *post_last; /* step of the last spike in the epoch, 0: none */
    int64_t *time;                 /* steps made */
    const double *draws;           /* of this run, NC_DRAWS a step */
    int64_t drawn;                 /* steps made when they began */
} nc_engine;

static inline uint8_t nc_jumped(const nc_engine *e, int trace, uint8_t value, double random) {
    int64_t later = value + e->impulse[trace] + (random < (double)e->chance[trace]);
    return (uint8_t)(later < NC_VALUES - 1 ? later : NC_VALUES - 1);
}

/* A spike of one row in step `now` of the epoch. */
static inline void nc_engine_arrival(const nc_engine *e, int64_t row, int64_t now) {
    if (e->pre_last[row])
        for (int k = 0; k < NC_PRE; k++) {
            uint8_t *value = e->pre + k * e->rows + row;
            *value = nc_jumped(e, k, *value, 0.0);
        }
    e->pre_last[row] = (uint8_t)now;
}

/* A spike of one target in step `now` of the epoch. */
static inline void nc_engine_spike(const nc_engine *e, int64_t target, int64_t now, double random) {
    int64_t j = target - e->lo;
    if (e->post_last[j])
        for (int k = 0; k < NC_POST; k++) {
            uint8_t *value = e->post + k * (e->hi - e->lo) + j;
            *value = nc_jumped(e, NC_PRE + k, *value, random);
        }
    e->post_last[j] = (uint8_t)now;
}

/* Fill in the history of `count` traces of `size` rows or targets, the first of which is trace number `first`. */
static inline void nc_engine_history(
    const nc_engine *e, uint8_t *values, const uint8_t *last, int64_t size, int first, int count, double decay, double impulse) {
    for (int64_t now = 1; now <= e->epoch; now++)
        for (int k = 0; k < count; k++) {
            const int64_t *whole = e->whole + (first + k) * NC_VALUES;
            const double *fraction = e->fraction + (first + k) * NC_VALUES;
            const uint8_t *from = values + ((now - 1) * count + k) * size;
            uint8_t *to = values + (now * count + k) * size;
            if (e->impulse[first + k] == 0 && e->chance[first + k] == 0) continue; /* it is always 0 */
            for (int64_t i = 0; i < size; i++) {
                uint8_t value = (uint8_t)(whole[from[i]] + (decay < fraction[from[i]]));
                to[i] = last[i] == now ? nc_jumped(e, first + k, value, impulse) : value;
            }
        }
}

/* The last of the history is where the next epoch begins, without spikes. */
static inline void nc_engine_next(const nc_engine *e) {
    int64_t targets = e->hi - e->lo;
    memcpy(e->pre, e->pre + e->epoch * NC_PRE * e->rows, (size_t)(NC_PRE * e->rows));
    memcpy(e->post, e->post + e->epoch * NC_POST * targets, (size_t)(NC_POST * targets));
    memset(e->pre_last, 0, (size_t)e->rows);
    memset(e->post_last, 0, (size_t)targets);
}

static inline int64_t nc_between(int64_t value, int64_t low, int64_t high) {
    return value < low ? low : value > high ? high : value;
}

/* The accumulator as a weight or tag: up where the random number is below what is dropped. */
static inline double nc_engine_rounded(int64_t total, double random, int64_t low, int64_t high) {
    int64_t whole = (total >> 7) + (random * 128.0 < (double)(total & 127));
    return (double)nc_between(whole, low, high);
}

/* Apply all products to one synapse. */
static inline void nc_engine_change(
    const nc_engine *e, double *weight, double *tag, int64_t row, int64_t target, int64_t counted, double random) {
    int64_t targets = e->hi - e->lo, j = target - e->lo, variables[2] = {(int64_t)*weight, (int64_t)*tag};
    int64_t when[3] = {e->pre_last[row], e->post_last[j], counted ? e->epoch : 0};
    int64_t total[2] = {variables[0] * 128, variables[1] * 128};
    for (int64_t n = 0; n < e->n_products; n++) {
        const nc_engine_product *product = e->products + n;
        int64_t part = product->mantissa, now = when[product->dependency], *sum = total + product->target;
        if (!now) continue;
        for (const nc_engine_factor *f = e->factors + product->begin; f < e->factors + product->end; f++) {
            int64_t value = f->what < NC_PRE            ? e->pre[(now * NC_PRE + f->what) * e->rows + row]
                            : f->what < NC_PRE + NC_POST ? e->post[(now * NC_POST + f->what - NC_PRE) * targets + j]
                                                         : variables[f->what - NC_PRE - NC_POST];
            value += f->constant;
            if (f->sign) value = (value > 0) - (value < 0);
            part *= nc_between(value, -f->top, f->top - 1);
        }
        part = nc_between((part >> product->right) * ((int64_t)1 << product->left), -NC_TOP - 1, NC_TOP - 1);
        *sum = nc_between(*sum + part, -NC_TOP - 1, NC_TOP - 1);
    }
    *weight = nc_engine_rounded(total[0], random, e->low, e->high);
    *tag = nc_engine_rounded(total[1], random, -257, 255);
}

/* An engine's projection has no events of its own, and one variable a synapse, the tag. */
static const nc_rule nc_engine_events = {.n_synapse = 1};
#endif
