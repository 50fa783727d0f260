"""The step program as C, for the CPU kernel. Nothing is reordered, nothing needs libm.

Compiled with `-ffp-contract=off`, the C gives the same bits as the NumPy printer. Everything it calls is in `kernels/step.h`.
"""

from __future__ import annotations

from collections.abc import Container

from neurocomp.ir.expressions import (
    RANDOM,
    Binary,
    Call,
    Compare,
    Expr,
    Logic,
    Name,
    Number,
    Unary,
    children,
    draws,
    names,
)
from neurocomp.ir.program import TIME, StepForm

FEW = 16  # constants that registers hold while neurons that are alike are updated; with more, compilers give up vectors


def to_c(expr: Expr, arithmetic: str, ahead: Container[int] = ()) -> str:
    """The expression as C, fully bracketed; float literals in hexadecimal so that no digit is lost.

    ahead: sites of the Poisson counts that stand in an array.
    """

    def sub(child: Expr) -> str:
        return to_c(child, arithmetic, ahead)

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
        case Call("sqrt", (x,)):
            return f"__builtin_sqrt({sub(x)})"
        case Call("poisson", _, site) if site in ahead:
            return f"p{site}[j]"
        case Call(function, args) if function in RANDOM:
            where = ["now->key", "now->step", "now->first + j", str(expr.site)]
            return f"nc_{function}({', '.join([*where, *(sub(arg) for arg in args)])})"
        case Call(function, args):
            return f"nc_{function}({', '.join(sub(arg) for arg in args)})"


def c_function(form: StepForm, name: str) -> str:
    """C source of one update function over `n` neurons.

    Signature: `nc_update` of `kernels/step.h`; inputs, states and constants are arrays of n float64 (int64 for Loihi
    arithmetic) in the order of `form.inputs`, `form.state` and `form.constants`; no state overlaps another array.

    Compilers make as many lanes as a register has of the narrowest type in a loop. Bytes for who spiked would mean 64 neurons
    at once, eight registers for every value and most of them on the stack; so spikes are kept in 32 bits, and become bytes in
    a loop of their own. Random numbers, long chains of multiplications, are quicker with twice as many lanes.
    """
    counts = _known_ahead(form)
    kind = "int64_t" if form.arithmetic == "loihi" else "double"
    used = {name for expr in form.expressions() for name in names(expr)}
    late = _is_late(form)
    random = counts or any(True for expr in form.expressions() for _ in draws(expr))

    lines = [
        f"NC_CLONES static int {name}(ptrdiff_t n, const void *const *inputs, void *const *state,",
        "        const void *const *constants, const nc_now *now, unsigned char *restrict fired, int32_t *restrict payload) {",
    ]
    lines += [f"    const {kind} *restrict i{k} = inputs[{k}];" for k in range(len(form.inputs))]
    lines += [f"    {kind} *restrict s{k} = state[{k}];" for k in range(len(form.state))]
    lines += [f"    const {kind} *restrict c{k} = constants[{k}];" for k in range(len(form.constants))]
    lines += [f"    const double {TIME}_ = now->t;"] if TIME in used else []
    lines += ["    const nc_now here = *now;", "    now = &here;"] if random else []  # read once, not under a condition
    lines += [f"    int{16 if random else 32}_t some = 0, spiked[NC_PART] NC_ALIGNED;"] if form.spike is not None else []
    lines += [
        "    (void)state; (void)constants; (void)payload; (void)fired; (void)now;",
        *(line for site, mean in counts.items() for line in _count_ahead(form, site, mean)),
    ]
    if 0 < len(form.constants) <= FEW:
        lines += [
            "    if (now->alike) {",
            *(f"        const {kind} {x}_ = c{k}[0];" for k, x in enumerate(form.constants)),
            *_loop(form, kind, used, counts, late),
            "    } else {",
            *_loop(form, kind, used, counts, late, each=True),
            "    }",
        ]
    else:
        lines += _loop(form, kind, used, counts, late, each=True)
    if form.spike is None:
        return "\n".join([*lines, "    return 0;", "}"]) + "\n"
    flag = "spiked[j]" if form.payload is None else "(spiked[j] & (payload[j] != 0))"
    lines += ["    for (ptrdiff_t j = 0; j < n; j++) some |= spiked[j];", "    if (!some) return 0;"]
    lines.append(f"    for (ptrdiff_t j = 0; j < n; j++) fired[j] = (unsigned char){flag};")
    return "\n".join([*lines, *(_late_reset(form, kind) if late else []), "    return 1;", "}"]) + "\n"


def _loop(form: StepForm, kind: str, used: set[str], counts: Container[int], late: bool, each: bool = False) -> list[str]:
    """The loop over neurons. each: constants have a value for every neuron, else they are scalars, known here."""
    lines = ["        NC_ELEMENTWISE", "        for (ptrdiff_t j = 0; j < n; j++) {"]
    lines += [f"            const {kind} {x}_ = i{k}[j];" for k, x in enumerate(form.inputs) if x in used]
    lines += [f"            {kind} {x}_ = s{k}[j];" for k, x in enumerate(form.state)]
    lines += [f"            const {kind} {x}_ = c{k}[j];" for k, x in enumerate(form.constants) if each]
    lines += [f"            {kind} {x}_;" for x in form.temporaries]
    lines += [f"            {x.target}_ = {to_c(x.value, form.arithmetic, counts)};" for x in form.updates]
    if form.spike is not None:
        lines.append(f"            const int spike = {to_c(form.spike, form.arithmetic)};")
        if form.payload is not None:
            lines.append(f"            const {kind} sent = {to_c(form.payload, form.arithmetic)};")
        if not late:
            lines += [f"            {x.target}_ = spike ? {to_c(x.value, form.arithmetic)} : {x.target}_;" for x in form.reset]
        lines.append("            spiked[j] = spike;")
        lines += ["            payload[j] = (int32_t)sent;"] if form.payload is not None else []
    lines += [f"            s{k}[j] = {x}_;" for k, x in enumerate(form.state)]
    return [*lines, "        }"]


def _known_ahead(form: StepForm) -> dict[int, Expr]:
    """By site, the mean of every Poisson count whose mean is known before the loop.

    They are drawn for many neurons at once, several times as fast as one by one.
    """
    known = {*form.constants, TIME}
    calls = (call for assign in form.updates for call in draws(assign.value) if call.function == "poisson")
    means = {call.site: call.args[0] for call in calls}
    return {site: mean for site, mean in means.items() if not {*names(mean)} - known and not any(draws(mean))}


def _count_ahead(form: StepForm, site: int, mean: Expr) -> list[str]:
    """Code that draws a count for every neuron of a part."""
    where = f"n, now->key, now->step, now->first, {site}"
    needed = [(k, x) for k, x in enumerate(form.constants) if x in {*names(mean)}]
    return [
        f"        double p{site}[NC_PART] NC_ALIGNED;",
        "        if (now->alike) {",
        *(f"            const double {x}_ = c{k}[0];" for k, x in needed),
        f"            nc_poisson_same({where}, {to_c(mean, form.arithmetic)}, p{site}, now->counts);",
        "        } else {",
        f"            double m{site}[NC_PART] NC_ALIGNED;",
        "            NC_ELEMENTWISE",
        "            for (ptrdiff_t j = 0; j < n; j++) {",
        *(f"                const double {x}_ = c{k}[j];" for k, x in needed),
        f"                m{site}[j] = {to_c(mean, form.arithmetic)};",
        "            }",
        f"            nc_poisson_fill({where}, m{site}, p{site});",
        "        }",
    ]


def _is_late(form: StepForm) -> bool:
    """Whether the reset is so costly that it is worth a second loop over those that spiked, which are few."""
    temporary = {name for x in form.reset for name in names(x.value)} & {*form.temporaries}
    return form.payload is None and not temporary and any(_costly(x.value) for x in form.reset)


def _costly(expr: Expr) -> bool:
    cheap = {"where", "min", "max", "abs", "sqrt", "round"}
    return (isinstance(expr, Call) and expr.function not in cheap) or any(_costly(child) for child in children(expr))


def _late_reset(form: StepForm, kind: str) -> list[str]:
    """The reset in a loop of its own, over the states as the first loop left them. Looks at eight flags at a time."""
    needed = {name for x in form.reset for name in (x.target, *names(x.value))}
    lines = ["    for (ptrdiff_t j = 0; j < n; j++) {", "        uint64_t eight;"]
    lines += ["        if (j + 8 <= n && (memcpy(&eight, fired + j, 8), eight == 0)) {", "            j += 7;"]
    lines += ["            continue;", "        }", "        if (!fired[j]) continue;"]
    lines += [f"        const {kind} {x}_ = i{k}[j];" for k, x in enumerate(form.inputs) if x in needed]
    lines += [f"        {kind} {x}_ = s{k}[j];" for k, x in enumerate(form.state) if x in needed]
    lines += [f"        const {kind} {x}_ = c{k}[j];" for k, x in enumerate(form.constants) if x in needed]
    lines += [f"        {x.target}_ = {to_c(x.value, form.arithmetic)};" for x in form.reset]
    lines += [f"        s{k}[j] = {x}_;" for k, x in enumerate(form.state) if any(y.target == x for y in form.reset)]
    return [*lines, "    }"]
