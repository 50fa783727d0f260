/* Threads that wait for the next run of an engine: C threads with all signals blocked, so that Python's signal handlers and
 * interruptions never meet a half-started or half-stopped helper. */
#ifndef NEUROCOMP_POOL_H
#define NEUROCOMP_POOL_H
#include "sync.h"
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define NC_SPINS 4000 /* looks for the others, some 50 us, before a thread sleeps */

typedef void (*nc_work)(void *arg, int k);

typedef struct nc_pool nc_pool;
typedef struct {
    nc_pool *pool;
    int k;
} nc_helper;

struct nc_pool {
    int count;  /* helpers; the caller of nc_pool_run is one more thread */
    pid_t pid;  /* the process they live in: after a fork they are gone */
    nc_work work;
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    uint64_t round; /* increases with each run */
    int busy;       /* helpers that have not finished this run */
    int quit;
    pthread_t threads[64];
    nc_helper helpers[64];
};

static void *nc_pool_main(void *given) {
    nc_helper *me = given;
    nc_pool *pool = me->pool;
    uint64_t seen = 0;
    for (;;) {
        for (int spins = 0; spins < NC_SPINS && __atomic_load_n(&pool->round, __ATOMIC_ACQUIRE) == seen; spins++) nc_pause();
        pthread_mutex_lock(&pool->lock);
        while (pool->round == seen && !pool->quit) pthread_cond_wait(&pool->wake, &pool->lock);
        seen = pool->round;
        const int quit = pool->quit;
        pthread_mutex_unlock(&pool->lock);
        if (quit) return NULL;
        pool->work(pool->arg, me->k);
        pthread_mutex_lock(&pool->lock);
        if (__atomic_sub_fetch(&pool->busy, 1, __ATOMIC_ACQ_REL) == 0) pthread_cond_signal(&pool->done);
        pthread_mutex_unlock(&pool->lock);
    }
}

/* End the helpers (where this process has them) and free the pool. */
static void nc_pool_stop(nc_pool *pool) {
    if (pool == NULL) return;
    if (pool->pid == getpid()) {
        pthread_mutex_lock(&pool->lock);
        pool->quit = 1;
        pthread_cond_broadcast(&pool->wake);
        pthread_mutex_unlock(&pool->lock);
        for (int i = 0; i < pool->count; i++) pthread_join(pool->threads[i], NULL);
    }
    free(pool);
}

/* Start `count` helpers; NULL where the system refuses. */
static nc_pool *nc_pool_start(int count) {
    nc_pool *pool = calloc(1, sizeof(nc_pool));
    if (pool == NULL) return NULL;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->done, NULL);
    pool->pid = getpid();
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int i = 0; i < count; i++) {
        pool->helpers[i].pool = pool;
        pool->helpers[i].k = i + 1;
        if (pthread_create(&pool->threads[i], NULL, nc_pool_main, &pool->helpers[i]) != 0) break;
        pool->count++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (pool->count < count) {
        nc_pool_stop(pool);
        return NULL;
    }
    return pool;
}

/* Run work(arg, k) on every thread, k = 0 on this one; returns when all are done. */
static void nc_pool_run(nc_pool *pool, nc_work work, void *arg) {
    pthread_mutex_lock(&pool->lock);
    pool->work = work;
    pool->arg = arg;
    pool->busy = pool->count;
    __atomic_store_n(&pool->round, pool->round + 1, __ATOMIC_RELEASE);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    work(arg, 0);
    for (int spins = 0; spins < NC_SPINS && __atomic_load_n(&pool->busy, __ATOMIC_ACQUIRE) != 0; spins++) nc_pause();
    pthread_mutex_lock(&pool->lock);
    while (pool->busy != 0) pthread_cond_wait(&pool->done, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

static inline int nc_pool_is_here(const nc_pool *pool) { return pool != NULL && pool->pid == getpid(); }
#endif
