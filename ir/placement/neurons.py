"""Which populations a chip has no neurons for: those that are not Loihi's LIF where a chip knows no other."""

from __future__ import annotations

from neurocomp.ir.chips import Chip
from neurocomp.ir.errors import CompileError
from neurocomp.ir.integrators import scheme
from neurocomp.ir.network import Network, Population
from neurocomp.ir.neurons import LoihiLIF
from neurocomp.ir.passes import Discretise, Fold
from neurocomp.ir.placement.result import PlacementError
from neurocomp.ir.quantisation.form import lif_form


def check_neurons(net: Network, chip: Chip) -> None:
    """Raise `PlacementError` naming the populations, why they are none of the chip's neurons, and what to use instead.

    Float populations count as what `quantise` makes of them.
    """
    if chip.custom_neurons:
        return
    compiled = all(x.program is not None for x in net.populations.values())
    lowered = net if compiled else Fold()(Discretise()(net))
    reasons = {name: reason for name, x in lowered.populations.items() if (reason := custom_reason(x))}
    if not reasons:
        return
    name, *others = reasons
    also = f" (nor those of {', '.join(map(repr, others))})" if others else ""
    message = f"{chip.name} has no such neurons{also}: {reasons[name]}, or use a chip whose neurons are programs: chip='loihi2'"
    raise PlacementError(name, "custom_neurons", None, None, message)


def custom_reason(population: Population) -> str:
    """Why the neurons of a compiled population are not Loihi's LIF with a reset to 0, and the cure; empty where they are."""
    program = population.program
    assert program is not None
    if program.form.arithmetic == "loihi":
        lif = scheme(LoihiLIF, "", "value").form
        if program.form == lif:
            return ""
        if program.form.updates != lif.updates:
            return f"{population.neuron.model.name} is a program of its own; use LoihiLIF(reset='value')"
        return _SUBTRACTS
    if program.form.spike is None:
        return f"{population.neuron.model.name} never spikes; integrate on the host, or count the spikes of IF(reset='value')"
    try:
        form = lif_form(population)
    except CompileError as error:
        return str(error).removeprefix(f"{error.subject}: ")
    return _SUBTRACTS if form.reset == "subtract" else ""


_SUBTRACTS = "they reset by subtraction, its own to 0; use reset='value'"
