/* Asking for memory before it is needed. */
#ifndef NEUROCOMP_FETCH_H
#define NEUROCOMP_FETCH_H
#include "clones.h"
#include <stdint.h>

#define NC_LINE 64 /* bytes of a cache line */

/* Every line of begin .. end. The empty statement of assembly keeps GCC from taking a function that only fetches for one without
 * effect, whose calls may be left out (seen with GCC 12). */
NC_INLINE void nc_fetch_range(const void *begin, const void *end) {
    const char *line = (const char *)((uintptr_t)begin & ~(uintptr_t)(NC_LINE - 1));
    for (; line < (const char *)end; line += NC_LINE) {
        __builtin_prefetch(line);
        __asm__ volatile("");
    }
}
#endif
