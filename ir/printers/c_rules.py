"""Learning rules as C: functions over the synapses of a row and of a column, with the bits of the NumPy printer."""

from __future__ import annotations

from collections.abc import Sequence

from neurocomp.ir.expressions import Assign, names
from neurocomp.ir.plasticity.form import RuleForm, rate_of
from neurocomp.ir.printers.c import to_c

_ROW = "const nc_learning *given, int64_t row, int64_t begin, int64_t end, const int32_t *targets"
_OWN = "    const nc_learning own = *given, *const l = &own;  /* which no store can change */"
_COLUMN = "const nc_learning *given, int64_t target, int64_t count, const int32_t *positions, const int32_t *rows"


def c_rule(form: RuleForm, name: str) -> str:
    """C source of a rule's functions and of the constant `nc_rule name` that points to them."""
    parts = [_over_row(form, f"{name}_on_pre", "on_pre")] if form.on_pre else []
    parts += [_over_column(form, f"{name}_{event}", event) for event in ("on_post", "on_reward") if form.event(event)]
    for side, traces, jumps in (("pre", form.pre, form.jump_pre), ("post", form.post, form.jump_post)):
        parts += (
            [_jump(form, f"{name}_jump_{side}", side, traces, jumps), _now(form, f"{name}_now_{side}", side)] if traces else []
        )
    given = {
        "on_pre": form.on_pre,
        "on_post": form.on_post,
        "on_reward": form.on_reward,
        "jump_pre": form.pre,
        "jump_post": form.post,
        "now_pre": form.pre,
        "now_post": form.post,
    }
    functions = ", ".join(f"{name}_{part}" if present else "NULL" for part, present in given.items())
    counts = ", ".join(str(len(x)) for x in (form.pre, form.post, form.synapse, form.constants))
    return "\n".join([*parts, f"static const nc_rule {name} = {{{functions}, {counts}}};", ""])


def _used(form: RuleForm, assigns: Sequence[Assign]) -> set[str]:
    """Every name the assignments read, and the synapse's variables where one of them changes: all are kept together."""
    used = {x for assign in assigns for x in names(assign.value)}
    return used | (set(form.synapse) if _changes(form, assigns) else set())


def _changes(form: RuleForm, assigns: Sequence[Assign]) -> bool:
    return any(x.target in form.synapse for x in assigns)


def _constants(form: RuleForm, used: set[str]) -> list[str]:
    wanted = used | {rate_of(x) for x in used}
    return [f"    const double {x}_ = l->constants[{k}];" for k, x in enumerate(form.constants) if x in wanted]


def _load(traces: Sequence[str], used: set[str], side: str, index: str, indent: str, kind: str = "const double") -> list[str]:
    """The decayed values of the traces in use."""
    return [
        f"{indent}{kind} {x}_ = nc_decayed(l->{side}[{k}][{index}], l->t - l->{side}_since[{index}], {rate_of(x)}_);"
        for k, x in enumerate(traces)
        if x in used
    ]


def _ready(traces: Sequence[str], used: set[str], side: str, index: str) -> list[str]:
    """The values of the traces in use that have been brought to this step already."""
    return [f"            const double {x}_ = l->{side}_now[{k}][{index}];" for k, x in enumerate(traces) if x in used]


def _now(form: RuleForm, name: str, side: str) -> str:
    traces = form.pre if side == "pre" else form.post
    lines = [f"NC_CLONES static void {name}(const nc_learning *given, int64_t begin, int64_t end) {{"]
    lines += [_OWN, *_constants(form, set(traces)), "    NC_INDEPENDENT", "    for (int64_t i = begin; i < end; i++) {"]
    lines += _load(traces, set(traces), side, "i", "        ")
    lines += [f"        l->{side}_now[{k}][i] = {x}_;" for k, x in enumerate(traces)]
    return "\n".join([*lines, "    }", "}", ""])


def _synapse(form: RuleForm, assigns: Sequence[Assign], indent: str) -> list[str]:
    """What happens at synapse k, of targets and rows that have been read."""
    lines = [f"{indent}double w_ = l->w[k];"]
    lines += _load(form.synapse, _used(form, assigns), "synapse", "k", indent, "double")
    lines += [f"{indent}{x.target}_ = {to_c(x.value, 'float')};" for x in assigns]
    lines += [f"{indent}l->w[k] = w_;"] if any(x.target == "w" for x in assigns) else []
    if _changes(form, assigns):
        lines += [f"{indent}l->synapse[{k}][k] = {x}_;" for k, x in enumerate(form.synapse)]
        lines.append(f"{indent}l->synapse_since[k] = l->t;")
    return lines


def _over_row(form: RuleForm, name: str, event: str) -> str:
    assigns = form.event(event)
    used = _used(form, assigns)
    lines = [f"NC_CLONES static void {name}({_ROW}) {{", _OWN, *_constants(form, used)]
    lines += _load(form.pre, used, "pre", "row", "    ")
    body = _synapse(form, assigns, "            ")
    dense = ("m", "m * l->stride + row", _ready(form.post, used, "post", "j"))
    listed = ("targets[m]", "m", _load(form.post, used, "post", "j", "            "))
    for test, (target, synapse, load) in (("if (targets == NULL) {", dense), ("} else {", listed)):
        lines += [f"    {test}", "        NC_INDEPENDENT", "        for (int64_t m = begin; m < end; m++) {"]
        lines += [f"            const int64_t j = {target}, k = {synapse};", "            (void)j;", *load, *body, "        }"]
    return "\n".join([*lines, "    }", "}", ""])


def _over_column(form: RuleForm, name: str, event: str) -> str:
    assigns = form.event(event)
    used = _used(form, assigns)
    lines = [f"NC_CLONES static void {name}({_COLUMN}) {{", _OWN, *_constants(form, used)]
    lines += ["    const double reward_ = l->reward;"] if "reward" in used else []
    lines += _load(form.post, used, "post", "target", "    ")
    body = _synapse(form, assigns, "            ")
    dense = ("target * l->stride + m", "m", _ready(form.pre, used, "pre", "row"))
    listed = ("positions[m]", "rows[m]", _load(form.pre, used, "pre", "row", "            "))
    for test, (position, row, load) in (("if (positions == NULL) {", dense), ("} else {", listed)):
        lines += [f"    {test}", "        NC_INDEPENDENT", "        for (int64_t m = 0; m < count; m++) {"]
        lines += [
            f"            const int64_t k = {position}, row = {row};",
            "            (void)row;",
            *load,
            *body,
            "        }",
        ]
    return "\n".join([*lines, "    }", "}", ""])


def _jump(form: RuleForm, name: str, side: str, traces: Sequence[str], jumps: Sequence[Assign]) -> str:
    used = set(traces) | {x for assign in jumps for x in names(assign.value)}
    lines = [f"static void {name}(const nc_learning *l, int64_t which) {{", *_constants(form, used)]
    lines += _load(traces, used, side, "which", "    ", "double")
    lines += [f"    {x.target}_ = {to_c(x.value, 'float')};" for x in jumps]
    lines += [f"    l->{side}[{k}][which] = {x}_;" for k, x in enumerate(traces)]
    return "\n".join([*lines, f"    l->{side}_since[which] = l->t;", "}", ""])
