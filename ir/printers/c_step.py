"""The step program as C: one update function for each step form, with the signature `nc_update` of `kernels/step.h`."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from functools import cached_property

from neurocomp.ir.expressions import Assign, Call, Expr, children, draws, names
from neurocomp.ir.printers.c import to_c
from neurocomp.ir.program import TIME, StepForm
from neurocomp.ir.usual import Usual, usual

KINDS = {"float": "double", "float32": "float", "loihi": "int64_t"}  # C's types of states, by arithmetic
FEW = 16  # constants that registers hold while neurons that are alike are updated; with more, compilers give up vectors


def c_function(form: StepForm, name: str) -> str:
    """C source of one update function over `n` neurons.

    Signature: `nc_update` of `kernels/step.h`; inputs, states and constants are arrays of n values (float64, float32,
    or int64 for Loihi arithmetic) in the order of `form.inputs`, `form.state` and `form.constants`; no state overlaps another
    array.

    Where constants are the same for all neurons, and spikes can be told from the states afterwards, the loop computes the usual
    step only (`neurocomp.ir.usual`), with the input straight from the accumulators; spikes and waiting neurons come after it.
    Otherwise one loop does it all.
    """
    return _Function(form).text(name)


def takes_sums(form: StepForm) -> tuple[bool, int, int, int]:
    """Whether the function of a form can read accumulators itself, and then what the engine must know of neurons that wait: the
    number of the state that counts down meanwhile, or -1; the states that are held, one bit for each number; and the number of
    the constant that counting begins from, or -1.
    """
    split = _Function(form).split
    if split is None or split.wait is None:
        return split is not None, -1, 0, -1
    held = sum(1 << form.state.index(x) for x in split.held)
    return True, form.state.index(split.wait), held, form.constants.index(split.start)


@dataclass(frozen=True)
class _Function:
    form: StepForm

    @property
    def kind(self) -> str:
        return KINDS[self.form.arithmetic]

    @property
    def flags(self) -> str:
        """A type as wide as the states, for what comes of comparing them."""
        return "int32_t" if self.kind == "float" else "int64_t"

    @cached_property
    def ahead(self) -> dict[int, Call]:
        """By site, the random numbers of updates and of the spike whose mean, if any, is known before the loop.

        They are drawn for many neurons at once, which is faster even where some are not used: one draw changes no other.
        """
        form = self.form
        known = {*form.constants, TIME}
        wanted = [assign.value for assign in form.updates] + ([form.spike] if form.spike is not None else [])
        calls = [call for expr in wanted for call in draws(expr)]
        return {x.site: x for x in calls if not any({*names(arg)} - known or any(draws(arg)) for arg in x.args)}

    @cached_property
    def split(self) -> Usual | None:
        """The usual step, where a loop of its own is worth it: no draws, which want more lanes, are left in it."""
        if not len(self.form.constants) < FEW:
            return None
        sites = {call.site for expr in self.form.expressions() for call in draws(expr)}
        return usual(self.form) if sites == {*self.ahead} else None

    def text(self, name: str) -> str:
        form, kind = self.form, self.kind
        used = {name for expr in form.expressions() for name in names(expr)}
        random = any(True for expr in form.expressions() for _ in draws(expr))
        lines = [
            f"NC_CLONES static int {name}(ptrdiff_t n, const void *const *inputs, void *const *state,",
            "        const void *const *constants, const nc_now *now, int32_t *restrict ids, int32_t *restrict payload) {",
            *(f"    const {kind} *restrict i{k} = inputs[{k}];" for k in range(len(form.inputs))),
            *(f"    {kind} *restrict s{k} = state[{k}];" for k in range(len(form.state))),
            *(f"    const {kind} *restrict c{k} = constants[{k}];" for k in range(len(form.constants))),
        ]
        real = "float" if kind == "float" else "double"
        lines += [f"    const {real} {TIME}_ = ({real})now->t;"] if TIME in used else []
        lines += ["    const nc_now here = *now;", "    now = &here;"] if random else []  # read once, not under a condition
        lines += [
            "    (void)state; (void)constants; (void)payload; (void)ids; (void)now;",
            *(line for call in self.ahead.values() for line in self._draw_ahead(call)),
        ]
        if self.split is not None:
            lines += ["    if (now->alike) {", *self._scalars(form.constants), *self._usual(self.split), "    }"]
        return "\n".join([*lines, *self._whole(), "}"]) + "\n"

    def _scalars(self, wanted: Iterable[str]) -> list[str]:
        return [f"        const {self.kind} {x}_ = c{self.form.constants.index(x)}[0];" for x in wanted]

    def _loads(self, wanted: Container[str], each: bool) -> list[str]:
        """Neuron j's values: of states, and where each neuron has its own, of constants."""
        lines = [f"            {self.kind} {x}_ = s{k}[j];" for k, x in enumerate(self.form.state) if x in wanted]
        constants = enumerate(self.form.constants if each else ())
        return lines + [f"            const {self.kind} {x}_ = c{k}[j];" for k, x in constants if x in wanted]

    def _assigned(self, updates: tuple[Assign, ...]) -> list[str]:
        temporaries = dict.fromkeys(x.target for x in updates if x.target not in self.form.state)
        lines = [f"            {self.kind} {x}_;" for x in temporaries]
        return lines + [f"            {x.target}_ = {to_c(x.value, self.form.arithmetic, self.ahead)};" for x in updates]

    def _draw_ahead(self, call: Call) -> list[str]:
        """Code that draws a number for every neuron of a part."""
        form, site = self.form, call.site
        where = f"n, now->key, now->step, now->first, {site}"
        if call.function != "poisson":
            return [f"        double p{site}[NC_PART] NC_ALIGNED;", f"        nc_{call.function}_fill({where}, p{site});"]
        (mean,) = call.args
        needed = [(k, x) for k, x in enumerate(form.constants) if x in {*names(mean)}]
        return [
            f"        double p{site}[NC_PART] NC_ALIGNED;",
            "        if (now->alike) {",
            *(f"            const {self.kind} {x}_ = c{k}[0];" for k, x in needed),
            f"            nc_poisson_same({where}, {to_c(mean, form.arithmetic)}, p{site}, now->counts);",
            "        } else {",
            f"            double m{site}[NC_PART] NC_ALIGNED;",
            "            NC_ELEMENTWISE",
            "            for (ptrdiff_t j = 0; j < n; j++) {",
            *(f"                const {self.kind} {x}_ = c{k}[j];" for k, x in needed),
            f"                m{site}[j] = {to_c(mean, form.arithmetic)};",
            "            }",
            f"            nc_poisson_fill({where}, m{site}, p{site});",
            "        }",
        ]

    # ---------------------------------------------------------------------------------------------------------- whole steps

    def _whole(self) -> list[str]:
        """Loops that do everything, for whatever constants.

        Compilers make as many lanes as a register has of the narrowest type in a loop. Bytes for who spiked would mean 64
        neurons at once, eight registers for every value and most of them on the stack; so spikes are kept in 32 bits, and
        become bytes in a loop of their own. Random numbers, long chains of multiplications, are quicker with twice the lanes.
        """
        form = self.form
        random = any(call.site not in self.ahead for expr in form.expressions() for call in draws(expr))
        late = self._is_late()
        lines = [f"    int{16 if random else 32}_t some = 0, spiked[NC_PART] NC_ALIGNED;"] if form.spike is not None else []
        lines += ["    int32_t sent[NC_PART] NC_ALIGNED;"] if form.payload is not None else []
        if self.split is None and 0 < len(form.constants) <= FEW:
            lines += [
                "    if (now->alike) {",
                *self._scalars(form.constants),
                *self._loop(late, each=False),
                "    } else {",
                *self._loop(late, each=True),
                "    }",
            ]
        else:
            lines += self._loop(late, each=True)
        if form.spike is None:
            return [*lines, "    return 0;"]
        flag, what = "spiked[j]", "NULL, n, ids, NULL"
        if form.payload is not None:
            flag, what = "(spiked[j] & (sent[j] != 0))", "sent, n, ids, payload"
        lines += ["    for (ptrdiff_t j = 0; j < n; j++) some |= spiked[j];", "    if (!some) return 0;"]
        lines += ["    unsigned char fired[NC_PART] NC_ALIGNED;"]
        lines += [f"    for (ptrdiff_t j = 0; j < n; j++) fired[j] = (unsigned char){flag};"]
        lines += [f"    const int count = nc_compact(fired, {what});"]
        return [*lines, *(self._late_reset(form.reset, each=True) if late else []), "    return count;"]

    def _loop(self, late: bool, each: bool) -> list[str]:
        """The loop over neurons. each: constants have a value for every neuron, else they are scalars, known here."""
        form = self.form
        used = {name for expr in form.expressions() for name in names(expr)}
        lines = ["        NC_ELEMENTWISE", "        for (ptrdiff_t j = 0; j < n; j++) {"]
        lines += [f"            const {self.kind} {x}_ = i{k}[j];" for k, x in enumerate(form.inputs) if x in used]
        lines += [*self._loads((*form.state, *form.constants), each), *self._assigned(form.updates)]
        if form.spike is not None:
            lines.append(f"            const int spike = {to_c(form.spike, form.arithmetic, self.ahead)};")
            if form.payload is not None:
                lines.append(f"            const {self.kind} carried = {to_c(form.payload, form.arithmetic)};")
            for x in () if late else form.reset:
                lines.append(f"            {x.target}_ = spike ? {to_c(x.value, form.arithmetic)} : {x.target}_;")
            lines.append("            spiked[j] = spike;")
            lines += ["            sent[j] = (int32_t)carried;"] if form.payload is not None else []
        lines += [f"            s{k}[j] = {x}_;" for k, x in enumerate(form.state)]
        return [*lines, "        }"]

    def _is_late(self) -> bool:
        """Whether the reset is so costly that it is worth a second loop over those that spiked, which are few."""
        form = self.form
        temporary = {name for x in form.reset for name in names(x.value)} & {*form.temporaries}
        return form.payload is None and not temporary and any(_costly(x.value) for x in form.reset)

    def _late_reset(self, reset: tuple[Assign, ...], each: bool, after: tuple[str, ...] = ()) -> list[str]:
        """The reset of those that spiked, over the states as the first loop left them."""
        form = self.form
        needed = {name for x in reset for name in (x.target, *names(x.value))}
        lines = ["        for (int q = 0; q < count; q++) {", "            const ptrdiff_t j = ids[q];"]
        lines += [f"            const {self.kind} {x}_ = i{k}[j];" for k, x in enumerate(form.inputs) if x in needed]
        lines += self._loads(needed, each)
        lines += [f"            {x.target}_ = {to_c(x.value, form.arithmetic)};" for x in reset]
        lines += [f"            s{k}[j] = {x}_;" for k, x in enumerate(form.state) if any(y.target == x for y in reset)]
        return [*lines, *after, "        }"]

    # ---------------------------------------------------------------------------------------------------------- usual steps

    def _usual(self, split: Usual) -> list[str]:
        """The usual step for all, then the few that wait, then those that spike."""
        state = {x: f"s{k}" for k, x in enumerate(self.form.state)}
        form = split.form
        lines = [f"        {self.flags} some = 0;"] if form.spike is not None else []
        lines += ["        if (now->sums != NULL) {"]
        lines += [f"            int32_t *restrict a{k} = now->sums[{k}];" for k in range(len(form.inputs))]
        lines += [f"            const int32_t *restrict b{k} = now->bias[{k}];" for k in range(len(form.inputs))]
        lines += [f"            const {self.kind} unit = ({self.kind})now->unit;"] if self.kind != "int64_t" else []
        lines += [*self._usual_loop(split, sums=True), "        } else {", *self._usual_loop(split, sums=False), "        }"]
        return [*lines, *self._usual_spikes(split, state)]

    def _usual_loop(self, split: Usual, sums: bool) -> list[str]:
        """sums: take the input from the accumulators, and leave their bias there."""
        form = split.form
        used = {name for x in form.updates for name in (x.target, *names(x.value))}
        used |= {*names(form.spike)} if form.spike is not None else set()
        scale = " * unit" if self.kind != "int64_t" else ""
        lines = ["            NC_ELEMENTWISE", "            for (ptrdiff_t j = 0; j < n; j++) {"]
        for k, x in enumerate(form.inputs):
            value = f"({self.kind})a{k}[j]{scale}" if sums else f"i{k}[j]"
            lines += [f"            const {self.kind} {x}_ = {value};"] if x in used else []
            lines += [f"            a{k}[j] = b{k}[j];"] if sums else []
        lines += [*self._loads(used, False), *self._assigned(form.updates)]
        lines += [f"            some |= {to_c(form.spike, form.arithmetic)} ? -1 : 0;"] if form.spike is not None else []
        lines += [f"            s{k}[j] = {x}_;" for k, x in enumerate(self.form.state) if x in split.changed]
        return [*lines, "            }"]

    def _search(self, spike: Expr, wait: str | None) -> list[str]:
        """List those for whom `spike` holds, which are few, and who do not wait: group by group, as most have nobody."""
        loads, condition = self._loads({*names(spike)}, False), to_c(spike, self.form.arithmetic)
        look = [*loads, f"                    any |= {condition} ? -1 : 0;", "                }"]
        lines = [
            "        int count = 0;",
            "        for (ptrdiff_t at = 0; some && at < n; at += NC_GROUP) {",
            "            const ptrdiff_t end = n - at < NC_GROUP ? n : at + NC_GROUP;",
            f"            {self.flags} any = 0;",
            "            if (end == at + NC_GROUP) {",
            "                NC_ELEMENTWISE",
            "                for (ptrdiff_t j = at; j < at + NC_GROUP; j++) {",
            *look,
            "            } else {",
            "                for (ptrdiff_t j = at; j < end; j++) {",
            *look,
            "            }",
            "            if (!any) continue;",
            "            unsigned char fired[NC_GROUP] NC_ALIGNED = {0};",
            "            for (ptrdiff_t j = at; j < end; j++) {",
            *loads,
            f"                fired[j - at] = (unsigned char){condition};",
            "            }",
        ]
        if wait is None:
            return [*lines, "            count += nc_list(fired, at, end, ids + count);", "        }"]
        return [
            *lines,
            "            const int found = count + nc_list(fired, at, end, ids + count);",
            "            for (int q = count; q < found; q++) {",
            "                ids[count] = ids[q];",
            f"                count += !({wait}[ids[q]] > 0);",
            "            }",
            "        }",
        ]

    def _usual_spikes(self, split: Usual, state: dict[str, str]) -> list[str]:
        """Who spiked, of those that did not wait; their reset; and who waits now."""
        form = split.form
        if form.spike is None:
            return ["        return 0;"]
        search = self._search(form.spike, None if split.wait is None else state[split.wait])
        if split.wait is None:
            return [*search, *self._late_reset(form.reset, False), "        return count;"]
        wait, kind, arithmetic = state[split.wait], self.kind, form.arithmetic
        held = [(state[x], k) for k, x in enumerate(x for x in form.state if x in split.held)]
        shift = ["who[q - gone] = who[q]", "until[q - gone] = until[q]", *(f"h{k}[q - gone] = h{k}[q]" for _, k in held)]
        begin = ["who[left] = (uint16_t)j", f"until[left] = now->step + nc_steps_{arithmetic}({wait}[j])"]
        begin += [*(f"h{k}[left] = {x}[j]" for x, k in held), f"left += {wait}[j] > 0"]
        return [
            "        uint16_t *const restrict who = now->who;",
            "        int64_t *const restrict until = now->until;",
            "        const int32_t waited = *now->waiting;",
            *(f"        {kind} *const restrict h{k} = ({kind} *)now->held + {k} * NC_PART;" for _, k in held),
            *search,
            *(f"        for (int32_t q = 0; q < waited; q++) {x}[who[q]] = h{k}[q];" for x, k in held),
            "        int32_t gone = 0;",  # those that end now are the first of the list
            "        for (; gone < waited && until[gone] <= now->step; gone++)",
            f"            {wait}[who[gone]] = nc_waited_{arithmetic}({wait}[who[gone]]);",
            f"        for (int32_t q = gone; gone > 0 && q < waited; q++) {', '.join(shift)};",
            "        int32_t left = waited - gone;",
            *self._late_reset(form.reset, False, (f"            {', '.join(begin)};",)),
            "        *now->waiting = left;",
            "        return count;",
        ]


def _costly(expr: Expr) -> bool:
    cheap = {"where", "min", "max", "abs", "sqrt", "round"}
    return (isinstance(expr, Call) and expr.function not in cheap) or any(_costly(child) for child in children(expr))
