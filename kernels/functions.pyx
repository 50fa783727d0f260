"""The mathematics of `maths.h`, `philox.h` and `poisson.h` as NumPy ufuncs: the same bits as compiled neurons, on every machine.

TABLE: name -> ufunc. Inputs and results are float64; `rand`, `randn` and `poisson` take a population's key, the step, the
neuron and the site (the number of the call in the equations, below 2^16), and `poisson` also its mean.
"""

from libc.stdint cimport uint32_t, uint64_t

cimport numpy as cnp

cdef extern from *:
    """
#include "poisson.h"

#define NC_INPUTS 5

/* What the ufunc machinery is given beside its loop: how many inputs of eight bytes, and the work on contiguous ones. */
typedef struct {
    int inputs;
    void (*work)(ptrdiff_t n, const void *const *in, double *out);
} nc_function;

#define NC_UNARY(name) \\
    NC_CLONES static void nc_work_##name(ptrdiff_t n, const void *const *in, double *out) { \\
        const double *x = (const double *)in[0]; \\
        NC_ELEMENTWISE for (ptrdiff_t j = 0; j < n; j++) out[j] = nc_##name(x[j]); \\
    } \\
    static const nc_function nc_of_##name = {1, nc_work_##name};

NC_UNARY(exp)
NC_UNARY(expm1)
NC_UNARY(exprel)
NC_UNARY(sigmoid)
NC_UNARY(tanh)
NC_UNARY(log)
NC_UNARY(log1p)
NC_UNARY(sin)
NC_UNARY(cos)
NC_UNARY(round)

NC_CLONES static void nc_work_pow(ptrdiff_t n, const void *const *in, double *out) {
    const double *x = (const double *)in[0], *y = (const double *)in[1];
    NC_ELEMENTWISE for (ptrdiff_t j = 0; j < n; j++) out[j] = nc_pow(x[j], y[j]);
}
static const nc_function nc_of_pow = {2, nc_work_pow};

#define NC_RANDOM(name) \\
    NC_CLONES static void nc_work_##name(ptrdiff_t n, const void *const *in, double *out) { \\
        const uint64_t *key = (const uint64_t *)in[0]; \\
        const int64_t *step = (const int64_t *)in[1], *neuron = (const int64_t *)in[2], *site = (const int64_t *)in[3]; \\
        NC_ELEMENTWISE for (ptrdiff_t j = 0; j < n; j++) out[j] = nc_##name(key[j], step[j], neuron[j], (int32_t)site[j]); \\
    } \\
    static const nc_function nc_of_##name = {4, nc_work_##name};

NC_RANDOM(rand)
NC_RANDOM(randn)

/* At most NC_BLOCK counts */
NC_CLONES static void nc_work_poisson(ptrdiff_t n, const void *const *in, double *out) {
    const uint64_t *key = (const uint64_t *)in[0];
    const int64_t *step = (const int64_t *)in[1], *neuron = (const int64_t *)in[2], *site = (const int64_t *)in[3];
    const double *mean = (const double *)in[4];
    double u[NC_BLOCK], counts[NC_BLOCK];
    for (ptrdiff_t j = 0; j < n; j++) u[j] = nc_poisson_uniform(key[j], step[j], neuron[j], (int32_t)site[j]);
    nc_poisson_inversions(n, u, mean, counts);
    for (ptrdiff_t j = 0; j < n; j++)
        out[j] = mean[j] >= NC_INVERSION ? nc_poisson_large(key[j], step[j], neuron[j], (int32_t)site[j], mean[j]) : counts[j];
}
static const nc_function nc_of_poisson = {5, nc_work_poisson};

/* An input as contiguous values: itself, or a copy where it has another stride. */
static const void *nc_gather(const char *from, ptrdiff_t stride, ptrdiff_t n, uint64_t *buffer) {
    if (stride == 8) return from;
    for (ptrdiff_t j = 0; j < n; j++) memcpy(buffer + j, from + j * stride, 8);
    return buffer;
}

/* The loop of all ufuncs here: any strides, in blocks. Code without branches also computes what it then discards: the
 * floating-point flags mean nothing, and NumPy would warn of them. */
static void nc_ufunc_loop(char **args, const npy_intp *dimensions, const npy_intp *strides, void *data) {
    const nc_function *function = (const nc_function *)data;
    const int inputs = function->inputs;
    uint64_t buffers[NC_INPUTS][NC_BLOCK];
    double results[NC_BLOCK];
    const void *in[NC_INPUTS];
    for (ptrdiff_t at = 0; at < dimensions[0]; at += NC_BLOCK) {
        const ptrdiff_t n = dimensions[0] - at < NC_BLOCK ? dimensions[0] - at : NC_BLOCK;
        for (int k = 0; k < inputs; k++) in[k] = nc_gather(args[k] + at * strides[k], strides[k], n, buffers[k]);
        char *to = args[inputs] + at * strides[inputs];
        const int contiguous = strides[inputs] == 8;
        function->work(n, in, contiguous ? (double *)to : results);
        for (ptrdiff_t j = 0; j < n && !contiguous; j++) memcpy(to + j * strides[inputs], results + j, 8);
    }
    PyUFunc_clearfperr();
}
static PyUFuncGenericFunction nc_loops[] = {nc_ufunc_loop, nc_ufunc_loop};

static const char nc_of_doubles[] = {NPY_DOUBLE, NPY_DOUBLE, NPY_DOUBLE};
/* Python's own integers come as int64, so that a key may be one, too: its bits are what counts. */
static const char nc_of_counters[] = {
    NPY_UINT64, NPY_INT64, NPY_INT64, NPY_INT64, NPY_DOUBLE, NPY_INT64, NPY_INT64, NPY_INT64, NPY_INT64, NPY_DOUBLE};
static const char nc_of_counters_and_mean[] = {
    NPY_UINT64, NPY_INT64, NPY_INT64, NPY_INT64, NPY_DOUBLE, NPY_DOUBLE,
    NPY_INT64, NPY_INT64, NPY_INT64, NPY_INT64, NPY_DOUBLE, NPY_DOUBLE};

static PyObject *nc_ufunc(const char *name, const char *doc, const nc_function *function) {
    static void *data[16][2]; /* NumPy keeps the pointer */
    static int used = 0;
    void **own = data[used++];
    own[0] = own[1] = (void *)function;
    const char *types = function->inputs < 4 ? nc_of_doubles : function->inputs == 4 ? nc_of_counters : nc_of_counters_and_mean;
    const int loops = function->inputs < 4 ? 1 : 2;
    return PyUFunc_FromFuncAndData(nc_loops, own, (char *)types, loops, function->inputs, 1, PyUFunc_None, name, doc, 0);
}
    """
    ctypedef struct nc_function:
        pass
    nc_function nc_of_exp, nc_of_expm1, nc_of_exprel, nc_of_sigmoid, nc_of_tanh, nc_of_log, nc_of_log1p, nc_of_sin, nc_of_cos
    nc_function nc_of_round, nc_of_pow, nc_of_rand, nc_of_randn, nc_of_poisson
    object nc_ufunc(const char* name, const char* doc, const nc_function* function)
    ctypedef struct nc_words:
        uint32_t a, b, c, d
    ctypedef struct nc_lanes:
        uint64_t a, b, c, d
    nc_lanes nc_philox(nc_lanes counter, uint64_t key)
    nc_words nc_words_of(nc_lanes x)

cnp.import_array()
cnp.import_ufunc()

TABLE = {
    "exp": nc_ufunc(b"exp", b"exp(x), within 0.76 ulp.", &nc_of_exp),
    "expm1": nc_ufunc(b"expm1", b"exp(x) - 1, within 0.76 ulp.", &nc_of_expm1),
    "exprel": nc_ufunc(b"exprel", b"(exp(x) - 1) / x, and 1 at 0, within 0.7 ulp.", &nc_of_exprel),
    "sigmoid": nc_ufunc(b"sigmoid", b"1 / (1 + exp(-x)), within 0.76 ulp.", &nc_of_sigmoid),
    "tanh": nc_ufunc(b"tanh", b"tanh(x), within 0.6 ulp.", &nc_of_tanh),
    "log": nc_ufunc(b"log", b"log(x), within 0.6 ulp; -inf at 0, NaN below.", &nc_of_log),
    "log1p": nc_ufunc(b"log1p", b"log(1 + x), within 0.6 ulp; -inf at -1, NaN below.", &nc_of_log1p),
    "sin": nc_ufunc(b"sin", b"sin(x), within 0.62 ulp for |x| <= 2^27; NaN beyond.", &nc_of_sin),
    "cos": nc_ufunc(b"cos", b"cos(x), within 0.62 ulp for |x| <= 2^27; NaN beyond.", &nc_of_cos),
    "round": nc_ufunc(b"round", b"x as a whole number, half to even.", &nc_of_round),
    "pow": nc_ufunc(b"pow", b"x to the power of y, within 0.76 ulp, with the special cases of C.", &nc_of_pow),
    "rand": nc_ufunc(b"rand", b"(key, step, neuron, site): a uniform number in [0, 1), a multiple of 2^-53.", &nc_of_rand),
    "randn": nc_ufunc(b"randn", b"(key, step, neuron, site): a standard normal number.", &nc_of_randn),
    "poisson": nc_ufunc(
        b"poisson", b"(key, step, neuron, site, mean): a Poisson count; 0 where the mean is 0, negative or NaN.", &nc_of_poisson
    ),
}
exp = TABLE["exp"]
expm1 = TABLE["expm1"]
exprel = TABLE["exprel"]
sigmoid = TABLE["sigmoid"]
tanh = TABLE["tanh"]
log = TABLE["log"]
log1p = TABLE["log1p"]
sin = TABLE["sin"]
cos = TABLE["cos"]
round = TABLE["round"]
pow = TABLE["pow"]
rand = TABLE["rand"]
randn = TABLE["randn"]
poisson = TABLE["poisson"]


def philox(counter, uint64_t key):
    """Philox 4x32-10 itself: the four words for a counter of four words."""
    cdef nc_lanes lanes
    lanes.a, lanes.b, lanes.c, lanes.d = counter
    cdef nc_words words = nc_words_of(nc_philox(lanes, key))
    return words.a, words.b, words.c, words.d
