"""The step program as C, for the CPU kernel. Nothing is reordered, nothing needs libm.

Compiled with `-ffp-contract=off`, the C gives the same bits as the NumPy printer.
"""

from __future__ import annotations

from neurocomp.ir.expressions import Assign, Binary, Call, Compare, Expr, Logic, Name, Number, Unary
from neurocomp.ir.program import StepForm

# Loihi's integer rules, as in Lava's bit-accurate models (lava/proc/lif/models.py, AbstractPyLifModelFixed).
C_PRELUDE = """\
#include <stddef.h>
#include <stdint.h>
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__gnu_linux__)
#if __GNUC__ >= 12
#define NC_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define NC_CLONES __attribute__((target_clones("avx2", "default")))
#endif
#else
#define NC_CLONES
#endif
static inline double nc_min_float(double x, double y) { return x < y ? x : y; }
static inline double nc_max_float(double x, double y) { return x > y ? x : y; }
static inline int64_t nc_min_loihi(int64_t x, int64_t y) { return x < y ? x : y; }
static inline int64_t nc_max_loihi(int64_t x, int64_t y) { return x > y ? x : y; }
static inline int64_t nc_abs_loihi(int64_t x) { return x < 0 ? -x : x; }
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
"""


def to_c(expr: Expr, arithmetic: str) -> str:
    """The expression as C, fully bracketed; float literals in hexadecimal so that no digit is lost."""

    def sub(child: Expr) -> str:
        return to_c(child, arithmetic)

    match expr:
        case Number(value):
            return f"INT64_C({value})" if arithmetic == "loihi" else float(value).hex()
        case Name(name):
            return f"{name}_"
        case Unary(op, operand):
            return f"({'!' if op == 'not' else op}{sub(operand)})"
        case Logic(op, left, right):
            return f"({sub(left)} {'&' if op == 'and' else '|'} {sub(right)})"
        case Binary("<<" | ">>" as op, left, right):
            return f"nc_shift({sub(left)}, {'' if op == '<<' else '-'}{sub(right)})"
        case Binary(op, left, right) | Compare(op, left, right):
            return f"({sub(left)} {op} {sub(right)})"
        case Call("where", (condition, yes, no)):
            return f"({sub(condition)} ? {sub(yes)} : {sub(no)})"
        case Call("min" | "max" as function, (x, y)):
            return f"nc_{function}_{arithmetic}({sub(x)}, {sub(y)})"
        case Call("abs", (x,)):
            return f"nc_abs_loihi({sub(x)})" if arithmetic == "loihi" else f"__builtin_fabs({sub(x)})"
        case Call("round", (x,)):
            return f"__builtin_rint({sub(x)})"
        case Call("sqrt", (x,)):
            return f"__builtin_sqrt({sub(x)})"
        case Call(function, args):
            return f"nc_{function}({', '.join(sub(arg) for arg in args)})"


def c_function(form: StepForm, name: str) -> str:
    """C source of one update function over `n` neurons.

    Signature: `(n, a[n], state[][n], constants[][n], fired[n], payload[n])`; input, state and constants hold float64 (int64
    for Loihi arithmetic), payload int32.
    """
    kind = "int64_t" if form.arithmetic == "loihi" else "double"

    def statement(assign: Assign) -> str:
        return f"        {assign.target}_ = {to_c(assign.value, form.arithmetic)};"

    lines = [
        f"NC_CLONES static void {name}(ptrdiff_t n, const void *input, void *const *state,",
        "        const void *const *constants, unsigned char *restrict fired, int32_t *restrict payload) {",
        f"    const {kind} *restrict a = input;",
    ]
    lines += [f"    {kind} *restrict s_{x} = state[{k}];" for k, x in enumerate(form.state)]
    lines += [f"    const {kind} *restrict c_{x} = constants[{k}];" for k, x in enumerate(form.constants)]
    lines += ["    (void)state; (void)constants; (void)payload; (void)fired;", "    for (ptrdiff_t j = 0; j < n; j++) {"]
    lines.append(f"        const {kind} a_ = a[j];")
    lines += [f"        {kind} {x}_ = s_{x}[j];" for x in form.state]
    lines += [f"        const {kind} {x}_ = c_{x}[j];" for x in form.constants]
    lines += [f"        {kind} {x}_;" for x in form.temporaries]
    lines.append("        (void)a_;")
    lines += [statement(assign) for assign in form.updates]
    if form.spike is not None:
        lines.append(f"        const int spike = {to_c(form.spike, form.arithmetic)};")
        sent = "1" if form.payload is None else to_c(form.payload, form.arithmetic)
        lines.append(f"        const {kind} sent = {sent};")
        lines += [f"        {x.target}_ = spike ? {to_c(x.value, form.arithmetic)} : {x.target}_;" for x in form.reset]
        lines.append("        fired[j] = (unsigned char)(spike && sent != 0);")
        lines += ["        payload[j] = (int32_t)sent;"] if form.payload is not None else []
    lines += [f"        s_{x}[j] = {x}_;" for x in form.state]
    lines += ["    }", "}"]
    return "\n".join(lines) + "\n"
