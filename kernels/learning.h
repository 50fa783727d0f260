/* Synapses that learn: what generated rules are given, and the shape they have. See ir/plasticity/rule.py for the order of events.
 *
 * What decays is kept as its value at its last event and the step of that event, and evaluated only when it is needed. */
#ifndef NEUROCOMP_LEARNING_H
#define NEUROCOMP_LEARNING_H
#include "step.h"

#define NC_TRACES 8 /* of each kind at most */

/* One projection as one thread sees it. Rows are pairs of source neuron and delay. */
typedef struct {
    double t;      /* the step */
    double reward; /* of the step */
    double *w;
    int64_t stride; /* all-to-all: the synapse of target j and row r is j * stride + r */
    double *synapse[NC_TRACES], *synapse_since; /* by synapse */
    double *pre[NC_TRACES], *pre_since;         /* by row, the thread's own */
    double *post[NC_TRACES], *post_since;       /* by target neuron */
    double *pre_now[NC_TRACES], *post_now[NC_TRACES]; /* all-to-all: traces at this step, where `now_pre`, `now_post` put them */
    const double *constants;
} nc_learning;

/* The synapses of one row: numbers begin..end onto targets[k], or where that is NULL those onto targets begin..end. */
typedef void (*nc_learn_row)(const nc_learning *l, int64_t row, int64_t begin, int64_t end, const int32_t *targets);

/* The `count` synapses of one target: positions[m] of row rows[m], or where these are NULL those of rows 0..count. */
typedef void (*nc_learn_column)(const nc_learning *l, int64_t target, int64_t count, const int32_t *positions, const int32_t *rows);

/* The traces of row or target `which` jump. */
typedef void (*nc_jump)(const nc_learning *l, int64_t which);

/* The traces begin..end at this step: all-to-all synapses need all of them, and several events of a step need the same. */
typedef void (*nc_now_traces)(const nc_learning *l, int64_t begin, int64_t end);

typedef struct {
    nc_learn_row on_pre; /* NULL where the rule does nothing */
    nc_learn_column on_post, on_reward;
    nc_jump jump_pre, jump_post;
    nc_now_traces now_pre, now_post;
    int32_t n_pre, n_post, n_synapse, n_constants;
} nc_rule;

/* No two iterations touch the same synapse. */
#if defined(__GNUC__) && !defined(__clang__)
#define NC_INDEPENDENT _Pragma("GCC ivdep")
#else
#define NC_INDEPENDENT
#endif

/* `value` after `steps` steps of losing `rate` each. */
static inline double nc_decayed(double value, double steps, double rate) { return value * nc_exp(-steps * rate); }
#endif
