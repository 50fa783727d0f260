/* exp, log, tanh and friends with the same bits on every machine, in loops that compilers turn into vector code.
 *
 * Only + - * / sqrt, comparisons and integer operations, each rounded as IEEE 754 says, in the written order: results depend
 * neither on the instruction set, nor on the C library, nor on whether an element was computed alone or in a vector. There
 * are no branches and no tables; special cases are selected at the end. The processor must round to nearest and keep subnormal
 * numbers, as it does unless told otherwise. Compile with -ffp-contract=off, without -ffast-math; for vector code also with
 * -O3 -fno-math-errno -fno-trapping-math, which change no result (without -fno-math-errno, sqrt may call the C library).
 *
 * Errors are below 1 ulp over the full range, subnormal results included (measured figures: tests/kernels/test_maths.py).
 * A NaN argument is returned as it is; a NaN that arises here is the positive quiet one.
 *
 * Polynomials are minimax: Remez exchange at 60 digits, in the variable and on the interval named beside them, for the
 * relative error of the function; then each coefficient is rounded to double. */
#ifndef NEUROCOMP_MATHS_H
#define NEUROCOMP_MATHS_H
#include "clones.h"
#include <float.h>
#include <math.h> /* INFINITY, NAN; no function of it */
#include <stdint.h>
#include <string.h>

#if defined(__FAST_MATH__)
#error "maths.h needs IEEE arithmetic: compile without -ffast-math"
#endif
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0
#error "maths.h needs double arithmetic without excess precision: compile with -msse2 -mfpmath=sse"
#endif
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

/* ------------------------------------------------------------------------------------------------------------------ bits */

/* 1.5 * 2^52: adding it rounds to a whole number, half to even, and leaves that number in the low bits. */
#define NC_MAGIC 0x1.8p52
#define NC_SIGN UINT64_C(0x8000000000000000)

NC_INLINE uint64_t nc_bits(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

NC_INLINE double nc_double(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

NC_INLINE double nc_magnitude(double x) { return nc_double(nc_bits(x) & ~NC_SIGN); }

/* |x| with the sign of y */
NC_INLINE double nc_with_sign(double x, double y) { return nc_double((nc_bits(x) & ~NC_SIGN) | (nc_bits(y) & NC_SIGN)); }

/* x rounded to a whole number, half to even, for |x| < 2^51; -0 becomes 0 */
NC_INLINE double nc_whole(double x) { return (x + NC_MAGIC) - NC_MAGIC; }

/* 2^k for a whole number k in -1022..1023 */
NC_INLINE double nc_power_of_two(double k) { return nc_double(nc_bits(k + (NC_MAGIC + 1023.0)) << 52); }

/* x 2^k, rounded once even where the result is subnormal, for x in [0.5, 2) and k in -2044..2046 */
NC_INLINE double nc_scale(double x, double k) {
    const double half = nc_whole(0.5 * k);
    return x * nc_power_of_two(half) * nc_power_of_two(k - half);
}

/* The rounding to a whole number, half to even: rint without its library call. */
NC_INLINE double nc_round(double x) {
    const double magnitude = nc_magnitude(x);
    return magnitude < 0x1p52 ? nc_with_sign((magnitude + 0x1p52) - 0x1p52, x) : x;
}

/* The largest whole number not above x */
NC_INLINE double nc_floor(double x) {
    const double whole = nc_round(x);
    return whole > x ? whole - 1.0 : whole;
}

/* --------------------------------------------------------------------------------------------------------- double-doubles */

/* The unevaluated sum hi + lo, |lo| small beside |hi|. */
typedef struct {
    double hi, lo;
} nc_pair;

/* a + b exactly, where |a| >= |b| or a = 0 */
NC_INLINE nc_pair nc_fast_sum(double a, double b) {
    const double hi = a + b;
    const nc_pair sum = {hi, (a - hi) + b};
    return sum;
}

/* a + b exactly */
NC_INLINE nc_pair nc_sum(double a, double b) {
    const double hi = a + b, of_b = hi - a;
    const nc_pair sum = {hi, (a - (hi - of_b)) + (b - of_b)};
    return sum;
}

/* The upper 26 bits of x: products of two heads are exact. */
NC_INLINE double nc_head(double x) { return nc_double(nc_bits(x) & ~UINT64_C(0x7ffffff)); }

/* c - a b with a relative error of 2^-100 of c, where a b is close to c */
NC_INLINE double nc_residue(double c, double a, double b) {
    const double a_hi = nc_head(a), a_lo = a - a_hi, b_hi = nc_head(b), b_lo = b - b_hi;
    return (((c - a_hi * b_hi) - a_hi * b_lo) - a_lo * b_hi) - a_lo * b_lo;
}

/* n / d with an error of little more than half an ulp */
NC_INLINE double nc_quotient(nc_pair n, nc_pair d) {
    const double inverse = 1.0 / d.hi, q = n.hi * inverse;
    return q + (nc_residue(n.hi, q, d.hi) + (n.lo - q * d.lo)) * inverse;
}

/* ----------------------------------------------------------------------------------------------------------- exponentials */

/* ln 2 as a part of 42 bits, whose multiples below 2^11 are exact, and the rest */
#define NC_LN2_HI 0x1.62e42fefa3800p-1
#define NC_LN2_LO 0x1.ef35793c76730p-45

/* (hi + lo) 2^k with hi + lo in [0.70, 1.42] */
typedef struct {
    double hi, lo, k;
} nc_scaled;

/* (exp(r) - 1 - r - r^2/2) / r^3 on |r| <= ln(2)/2 */
NC_INLINE double nc_exp_polynomial(double r) {
    const double r2 = r * r, r4 = r2 * r2;
    const double a = 0x1.555555555555ap-3 + 0x1.5555555555531p-5 * r, b = 0x1.111111110efc3p-7 + 0x1.6c16c16c26fe9p-10 * r;
    const double c = 0x1.a01a01b2690c0p-13 + 0x1.a01a01527bc07p-16 * r, d = 0x1.71ddf27065b74p-19 + 0x1.27e58cf240d7cp-22 * r;
    const double e = 0x1.af6860605245dp-26 + 0x1.1e67127bcc2cbp-29 * r;
    return (a + b * r2) + ((c + d * r2) + e * r4) * r4;
}

/* exp(x + tail) for |x| < 2^11 and |tail| < 2^-40: x = k ln 2 + r with an error below 2^-85, then 1 + r + r^2/2 nearly exactly
 * (the square of the upper 26 bits is exact), then the rest of the series */
NC_INLINE nc_scaled nc_exp_parts(double x, double tail) {
    const double k = nc_whole(x * 0x1.71547652b82fep+0);
    const nc_pair r = nc_fast_sum(x - k * NC_LN2_HI, tail - k * NC_LN2_LO);
    const double head = nc_head(r.hi), square_lo = (r.hi - head) * (r.hi + head);
    const nc_pair linear = nc_fast_sum(1.0, r.hi), large = nc_fast_sum(linear.hi, 0.5 * (head * head));
    const double cubic = r.hi * r.hi * r.hi * nc_exp_polynomial(r.hi);
    const nc_scaled parts = {large.hi, large.lo + (linear.lo + (r.lo * large.hi + (0.5 * square_lo + cubic))), k};
    return parts;
}

/* (hi + lo) u - 1 */
NC_INLINE nc_pair nc_minus_one(nc_scaled parts, double u) {
    const nc_pair difference = nc_sum(parts.hi * u, -1.0);
    return nc_fast_sum(difference.hi, difference.lo + parts.lo * u);
}

NC_INLINE double nc_clamp(double x, double low, double high) {
    const double bounded = x > high ? high : x; /* NaN stays */
    return bounded < low ? low : bounded;
}

/* exp(x) */
NC_INLINE double nc_exp(double x) {
    const nc_scaled parts = nc_exp_parts(nc_clamp(x, -800.0, 800.0), 0.0);
    const double result = nc_scale(parts.hi + parts.lo, parts.k);
    return x == x ? result : x;
}

/* exp(x) - 1 */
NC_INLINE double nc_expm1(double x) {
    const nc_scaled parts = nc_exp_parts(nc_clamp(x, -100.0, 800.0), 0.0);
    const double k = parts.k > 1000.0 ? 1000.0 : parts.k; /* the -1 is far below 2^1000 */
    const double result = nc_minus_one(parts, nc_power_of_two(k)).hi * nc_power_of_two(parts.k - k);
    return nc_magnitude(x) > 0x1p-54 ? result : x;
}

/* (exp(x) - 1) / x, and 1 at 0 */
NC_INLINE double nc_exprel(double x) {
    const double bounded = x > 800.0 ? 800.0 : x;
    const nc_scaled parts = nc_exp_parts(nc_clamp(x, -100.0, 800.0), 0.0);
    const double k = parts.k > 1000.0 ? 1000.0 : parts.k;
    const nc_pair divisor = {bounded, 0.0};
    const double quotient = nc_quotient(nc_minus_one(parts, nc_power_of_two(k)), divisor) * nc_power_of_two(parts.k - k);
    const double far = x < -60.0 ? -1.0 / bounded : quotient; /* at -infinity the quotient has no residue */
    const double near = nc_magnitude(x) > 0x1p-54 ? far : 1.0;
    return x == x ? near : x;
}

/* tanh(x) = -E / (2 + E) with E = exp(-2 |x|) - 1, and the sign of x */
NC_INLINE double nc_tanh(double x) {
    const double magnitude = nc_magnitude(x), bounded = magnitude > 22.0 ? 22.0 : magnitude;
    const nc_scaled parts = nc_exp_parts(-2.0 * bounded, 0.0);
    const nc_pair e = nc_minus_one(parts, nc_power_of_two(parts.k));
    const nc_pair sum = nc_fast_sum(2.0, e.hi), numerator = {-e.hi, -e.lo}, divisor = {sum.hi, sum.lo + e.lo};
    const double result = nc_with_sign(nc_quotient(numerator, divisor), x);
    return magnitude > 0x1p-28 ? result : x;
}

/* 1 / (1 + exp(-x)), as exp(x) / (1 + exp(x)) below 0 */
NC_INLINE double nc_sigmoid(double x) {
    const double magnitude = nc_magnitude(x), bounded = magnitude > 800.0 ? 800.0 : magnitude;
    const nc_scaled parts = nc_exp_parts(-bounded, 0.0);
    const nc_pair e = nc_fast_sum(parts.hi, parts.lo);
    const double u = nc_power_of_two(parts.k > -1000.0 ? parts.k : -1000.0);
    const nc_pair sum = nc_fast_sum(1.0, e.hi * u), divisor = {sum.hi, sum.lo + e.lo * u};
    const nc_pair numerator = {x < 0.0 ? e.hi : 1.0, x < 0.0 ? e.lo : 0.0};
    const double result = nc_scale(nc_quotient(numerator, divisor), x < 0.0 ? parts.k : 0.0);
    return x == x ? result : x;
}

/* ------------------------------------------------------------------------------------------------------------- logarithms */

/* x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)) */
typedef struct {
    double k, f;
} nc_binade;

#define NC_SQRT_HALF_BITS UINT64_C(0x3fe6a09e667f3bcd)
#define NC_ONE_BITS UINT64_C(0x3ff0000000000000)

/* The binade of a positive normal x; `bias` is added to k. */
NC_INLINE nc_binade nc_split(double x, double bias) {
    const uint64_t bits = nc_bits(x) + (NC_ONE_BITS - NC_SQRT_HALF_BITS);
    const double k = nc_double((bits >> 52) | UINT64_C(0x4330000000000000)) - (0x1p52 + 1023.0 - bias);
    const double m = nc_double((bits & UINT64_C(0xfffffffffffff)) + NC_SQRT_HALF_BITS);
    const nc_binade parts = {k, m - 1.0};
    return parts;
}

/* As nc_split, for a positive x that may be subnormal */
NC_INLINE nc_binade nc_split_any(double x) {
    const int subnormal = x < 0x1p-1022;
    return nc_split(subnormal ? x * 0x1p54 : x, subnormal ? -54.0 : 0.0);
}

/* s = f / (2 + f) with f = hi + lo, so that log(1 + f) = 2 atanh(s) */
NC_INLINE nc_pair nc_atanh_argument(double f, double f_lo) {
    const nc_pair d = nc_fast_sum(2.0, f);
    const double inverse = 1.0 / d.hi, s = f * inverse;
    const double residue = nc_residue(f, s, d.hi) + (f_lo - s * (d.lo + f_lo));
    const nc_pair argument = {s, residue * inverse};
    return argument;
}

/* (2 atanh(s) - 2 s) / s^3 in z = s^2, for |s| <= (sqrt(2) - 1) / (sqrt(2) + 1) */
NC_INLINE double nc_log_polynomial(double z) {
    const double z2 = z * z;
    const double a = 0x1.5555555555592p-1 + 0x1.999999997fdb4p-2 * z, b = 0x1.24924941f15a1p-2 + 0x1.c71c520934491p-3 * z;
    const double c = 0x1.74663ef0447eep-3 + 0x1.39a1b9f99038fp-3 * z + 0x1.2f056a934ac0bp-3 * z2;
    return (a + b * z2) + c * (z2 * z2);
}

/* k ln 2 + log(1 + f + f_lo): the two large terms exactly, the rest after them */
NC_INLINE double nc_log_of(double k, double f, double f_lo) {
    const nc_pair s = nc_atanh_argument(f, f_lo);
    const double z = s.hi * s.hi;
    const nc_pair large = nc_fast_sum(k * NC_LN2_HI, 2.0 * s.hi);
    const double rest = 2.0 * s.lo + s.hi * z * nc_log_polynomial(z);
    return large.hi + (large.lo + (rest + k * NC_LN2_LO));
}

/* log(x) for a positive normal x */
NC_INLINE double nc_log_normal(double x) {
    const nc_binade parts = nc_split(x, 0.0);
    return nc_log_of(parts.k, parts.f, 0.0);
}

/* log(x); -inf at 0, NaN below */
NC_INLINE double nc_log(double x) {
    const nc_binade parts = nc_split_any(x);
    const double result = nc_log_of(parts.k, parts.f, 0.0);
    const double special = x < 0.0 ? NAN : (x == 0.0 ? -INFINITY : x);
    return ((x > 0.0) & (x < INFINITY)) ? result : special;
}

/* log(1 + x); -inf at -1, NaN below */
NC_INLINE double nc_log1p(double x) {
    const nc_pair u = nc_sum(1.0, x);
    const nc_binade parts = nc_split(u.hi, 0.0);
    const double scaled_lo = u.lo * nc_power_of_two(parts.k > 1000.0 ? -1000.0 : -parts.k);
    const int same = parts.k == 0.0; /* then f is x itself, without the rounding of 1 + x */
    const double result = nc_log_of(parts.k, same ? x : parts.f, same ? 0.0 : scaled_lo);
    const double special = x < -1.0 ? NAN : (x == -1.0 ? -INFINITY : x);
    return ((x > -1.0) & (x < INFINITY) & (nc_magnitude(x) > 0x1p-54)) ? result : special;
}

/* ------------------------------------------------------------------------------------------------------------------ power */

/* (2 atanh(s) - 2 s - 2/3 s^3 - 2/5 s^5) / s^7 in z = s^2, for s as above */
NC_INLINE double nc_power_polynomial(double z) {
    const double z2 = z * z;
    const double a = 0x1.24924924927ccp-2 + 0x1.c71c71c65a445p-3 * z, b = 0x1.745d17d73fb05p-3 + 0x1.3b13783f3f8c3p-3 * z;
    const double c = 0x1.111dcc8dedd57p-3 + 0x1.de9ed7063b1d2p-4 * z + 0x1.e7dcfacba977ap-4 * z2;
    return (a + b * z2) + c * (z2 * z2);
}

/* hi + lo again as a sum, its hi now of 26 bits, so that the product of two such hi is exact */
NC_INLINE nc_pair nc_rehead(double hi, double lo) {
    const double head = nc_head(hi + lo);
    const nc_pair sum = {head, (hi - head) + lo};
    return sum;
}

/* a b for pairs whose hi have 26 bits: hi exact, lo to 2^-78 of it */
NC_INLINE nc_pair nc_product(nc_pair a, nc_pair b) {
    const nc_pair product = {a.hi * b.hi, a.hi * b.lo + a.lo * (b.hi + b.lo)};
    return product;
}

/* log(x) for x > 0 to 2^-68 of it: all terms up to s^5 of the series as pairs */
NC_INLINE nc_pair nc_long_log(double x) {
    const nc_binade parts = nc_split_any(x);
    const nc_pair whole = nc_atanh_argument(parts.f, 0.0), s = nc_rehead(whole.hi, whole.lo);
    const nc_pair square = nc_product(s, s), z = nc_rehead(square.hi, square.lo);
    const double seventh = (z.hi + z.lo) * nc_power_polynomial(z.hi + z.lo);
    const nc_pair fifth = nc_product(z, nc_rehead(0x1.999999999999ap-2, seventh - 0x1.999999999999ap-56));
    const nc_pair sum = nc_fast_sum(0x1.5555555555555p-1, fifth.hi);
    const nc_pair third = nc_product(z, nc_rehead(sum.hi, sum.lo + (fifth.lo + 0x1.5555555555555p-55)));
    const nc_pair rest = nc_product(s, nc_rehead(third.hi, third.lo));
    const nc_pair large = nc_fast_sum(parts.k * NC_LN2_HI, 2.0 * whole.hi), all = nc_fast_sum(large.hi, rest.hi);
    return nc_rehead(all.hi, all.lo + (large.lo + (rest.lo + (2.0 * whole.lo + parts.k * NC_LN2_LO))));
}

/* exp(y log(a)) for a > 0; beyond 2^70 the exponent is as good as infinite */
NC_INLINE double nc_pow_positive(double a, double y) {
    const double bounded = nc_clamp(y, -0x1p70, 0x1p70);
    const nc_pair product = nc_product(nc_long_log(a), nc_rehead(bounded, 0.0));
    const nc_pair exponent = nc_fast_sum(product.hi, product.lo);
    const double tail = nc_magnitude(exponent.hi) < 800.0 ? exponent.lo : 0.0;
    const nc_scaled parts = nc_exp_parts(nc_clamp(exponent.hi, -800.0, 800.0), tail);
    return nc_scale(parts.hi + parts.lo, parts.k);
}

/* x^y with the special cases of C: 1 where y = 0 or x = 1, NaN where x < 0 and y is no whole number */
NC_INLINE double nc_pow(double x, double y) {
    const double a = nc_magnitude(x), half = 0.5 * y;
    const int whole = nc_round(y) == y, odd = whole & (nc_round(half) != half);
    const double positive = nc_pow_positive(a, y);
    const double edge = (a == 0.0) == (y > 0.0) ? 0.0 : INFINITY; /* of 0 and infinity */
    const double power = ((a > 0.0) & (a < INFINITY)) ? positive : edge;
    const double turned = odd ? nc_with_sign(power, x) : power;
    const double known = ((x < 0.0) & (a < INFINITY) & !whole) ? NAN : turned;
    const double either = x == x ? (y == y ? known : y) : x;
    return ((y == 0.0) | (x == 1.0)) ? 1.0 : either;
}

/* ----------------------------------------------------------------------------------------------------------- trigonometry */

/* (sin(r) - r + r^3/6) / r^5 in z = r^2, for |r| <= pi / 4 */
NC_INLINE double nc_sin_polynomial(double z) {
    const double z2 = z * z;
    const double a = 0x1.111111111110fp-7 + -0x1.a01a01a019396p-13 * z, b = 0x1.71de3a53d1f8ep-19 + -0x1.ae6453453be0ap-26 * z;
    const double c = 0x1.6120f4af49275p-33 + -0x1.aad1275369197p-41 * z;
    return (a + b * z2) + c * (z2 * z2);
}

/* (cos(r) - 1 + z/2) / z^2 in z = r^2, for |r| <= pi / 4 */
NC_INLINE double nc_cos_polynomial(double z) {
    const double z2 = z * z;
    const double a = 0x1.555555555554cp-5 + -0x1.6c16c16c15184p-10 * z, b = 0x1.a01a019cb26ebp-16 + -0x1.27e4f80a762c1p-22 * z;
    const double c = 0x1.1ee9ec479306ep-29 + -0x1.8faecf1db9489p-37 * z;
    return (a + b * z2) + c * (z2 * z2);
}

/* sin(r + quadrant pi / 2) for |r| <= pi / 4, r = hi + lo; of `quadrant` only the last two bits count.
 *
 * The leading terms r - r^3/6 and 1 - r^2/2 must not be rounded: they are taken of the upper 17 bits of r, whose cube is
 * exact, and what that leaves out joins the rest of the series. */
NC_INLINE double nc_sin_quadrant(nc_pair r, uint64_t quadrant) {
    const double head = nc_double(nc_bits(r.hi) & ~UINT64_C(0xfffffffff)), low = r.hi - head, twice = r.hi + head;
    const double square = head * head, square_rest = low * twice, z = square + square_rest;
    const double cube = square * head, cube_rest = low * (z + head * twice);
    const nc_pair odd = nc_fast_sum(r.hi, cube * -0x1.5555555555555p-3), even = nc_fast_sum(1.0, -0.5 * square);
    const double odd_rest = r.hi * z * z * nc_sin_polynomial(z) - 0x1.5555555555555p-3 * cube_rest;
    const double even_rest = z * z * nc_cos_polynomial(z) - 0.5 * square_rest;
    const double sine = odd.hi + (odd.lo + (odd_rest + r.lo * even.hi));
    const double cosine = even.hi + (even.lo + (even_rest - r.lo * r.hi));
    const uint64_t choice = 0 - (quadrant & 1);
    const uint64_t chosen = (nc_bits(sine) & ~choice) | (nc_bits(cosine) & choice);
    return nc_double(chosen ^ ((quadrant & 2) << 62));
}

/* sin(x + turn pi / 2) for |x| < 2^27: x less a multiple of pi / 2, that in parts of 26 bits whose multiples are exact */
NC_INLINE double nc_sin_turned(double x, uint64_t turn) {
    const double shifted = x * 0x1.45f306dc9c883p-1 + NC_MAGIC, k = shifted - NC_MAGIC;
    const double near = (x - k * 0x1.921fb5p+0) - k * 0x1.110b46p-26;
    const nc_pair third = nc_sum(near, -k * 0x1.1a6263p-54), fourth = nc_sum(third.hi, -k * 0x1.8a2e03p-81);
    const nc_pair r = {fourth.hi, third.lo + (fourth.lo - k * 0x1.c1cd129024e09p-107)};
    return nc_sin_quadrant(r, nc_bits(shifted) + turn);
}

/* sin(x) for |x| <= 2^27, NaN beyond: the double there says nothing about the angle any more */
NC_INLINE double nc_sin(double x) {
    const double inside = nc_magnitude(x) <= 0x1p27 ? nc_sin_turned(x, 0) : NAN;
    return nc_magnitude(x) > 0x1p-27 ? inside : x;
}

/* cos(x) for |x| <= 2^27, NaN beyond */
NC_INLINE double nc_cos(double x) {
    const double inside = nc_magnitude(x) <= 0x1p27 ? nc_sin_turned(x, 1) : NAN;
    return x == x ? inside : x;
}

#endif
