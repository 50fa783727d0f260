"""Backends of another package: the reference under another name, one that lacks features, and one that loses a spike."""

from dataclasses import replace

import numpy as np

from neurocomp.backends.base import Support
from neurocomp.backends.reference import ReferenceBackend
from neurocomp.ir.events import Events


class Loopback(ReferenceBackend):
    """The reference backend under another name."""

    name = "loopback"
    description = "the reference by way of an entry point"


class Plain(Loopback):
    """Neither learning nor graded spikes."""

    name = "plain"
    features = {
        **ReferenceBackend.features,
        "plasticity": Support(False, "this chip has no learning engine"),
        "graded": Support(False, "its packets carry no payload"),
    }


class Numberless(Loopback):
    """Declares only what it lacks."""

    name = "numberless"
    features = {"plasticity": Support(False, "this chip has no learning engine")}


class Absent(Loopback):
    """Not on this machine."""

    name = "absent"

    def available(self):
        return Support(False, "no board is connected; plug one in")


class Lossy(Loopback):
    """Loses the last spike of every population."""

    name = "lossy"

    def lower(self, net):
        executable = super().lower(net)
        run = executable.run
        executable.run = lambda *given: lossy(net, run(*given))
        return executable


def lossy(net, result):
    def without_last(name, events):
        if name not in net.populations or not len(events):
            return events
        keep = np.arange(len(events)) < len(events) - 1
        payload = None if events.payload is None else events.payload[keep]
        return Events(events.times[keep], events.ids[keep], events.shape, events.steps, payload)

    return replace(result, spikes={name: without_last(name, events) for name, events in result.spikes.items()})


class NoBackend:
    """What an entry point should not lead to."""
