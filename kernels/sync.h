/* A barrier for the few threads of one run: spins briefly, then gives its core away.
 *
 * Steps last microseconds, so sleeping at once would cost more than the work; spinning for long is ruinous when the other
 * thread is not running at all. */
#ifndef NEUROCOMP_SYNC_H
#define NEUROCOMP_SYNC_H
#include <sched.h>
#include <stdint.h>
#include <time.h>

typedef struct {
    int32_t waiting; /* threads that have arrived in this phase */
    char pad[60];    /* the phase is read in a loop by all: keep it on a cache line of its own */
    int32_t phase;   /* increases each time all have arrived */
    int32_t threads; /* how many take part */
    int32_t spins;   /* looks before the core is given away: 0 where threads share cores */
} nc_barrier;

#define NC_LOOK 0.05 /* seconds between looks for signals such as Ctrl-C */

static inline double nc_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static inline void nc_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static inline void nc_barrier_wait(nc_barrier *b) {
    if (b->threads == 1) return;
    const int32_t phase = __atomic_load_n(&b->phase, __ATOMIC_ACQUIRE);
    if (__atomic_add_fetch(&b->waiting, 1, __ATOMIC_ACQ_REL) == b->threads) {
        __atomic_store_n(&b->waiting, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&b->phase, phase + 1, __ATOMIC_RELEASE);
        return;
    }
    for (int32_t spins = 0; __atomic_load_n(&b->phase, __ATOMIC_ACQUIRE) == phase; spins++) {
        if (spins < b->spins) {
            nc_pause();
        } else if (spins < b->spins + 100) {
            sched_yield();
        } else {
            const struct timespec nap = {0, 20000};
            nanosleep(&nap, NULL);
        }
    }
}
#endif
