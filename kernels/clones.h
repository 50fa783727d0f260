/* One C function, compiled for several instruction sets; the loader takes the best the machine has.
 *
 * All of them give the same bits: nothing here is contracted or reassociated, so only the number of lanes differs. */
#ifndef NEUROCOMP_CLONES_H
#define NEUROCOMP_CLONES_H

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__gnu_linux__)
#define NC_IS_CLONED
#endif

#ifndef NC_CLONES
#ifdef NC_IS_CLONED
#if __GNUC__ >= 12
#define NC_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define NC_CLONES __attribute__((target_clones("avx2", "default")))
#endif
#else
#define NC_CLONES
#endif
#endif

/* Functions of one element: a loop over them only becomes vector code once they are inlined, whatever their size. */
#ifndef NC_INLINE
#if defined(__GNUC__)
#define NC_INLINE static inline __attribute__((always_inline, unused))
#else
#define NC_INLINE static inline
#endif
#endif

/* Of an array that is worked on in vectors */
#ifndef NC_ALIGNED
#if defined(__GNUC__)
#define NC_ALIGNED __attribute__((aligned(64)))
#else
#define NC_ALIGNED
#endif
#endif

/* Before a loop whose output may be one of its inputs, element for element. */
#ifndef NC_ELEMENTWISE
#if defined(__clang__)
#define NC_ELEMENTWISE _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define NC_ELEMENTWISE _Pragma("GCC ivdep")
#else
#define NC_ELEMENTWISE
#endif
#endif

#endif
