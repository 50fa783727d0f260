"""What a network costs on a chip: exact counts of a run, times constants with ranges and sources.

`neurocomp.energy(program, recording, profile=...)` is the function `energy` of `neurocomp.energy.report`; this package holds
what it is made of: import from it by name, as in `from neurocomp.energy import Profile, calibrate`.
"""

from neurocomp.energy.activity import Activity, Tally, count
from neurocomp.energy.bill import Bill, price
from neurocomp.energy.calibrate import Calibration, Measurement, calibrate
from neurocomp.energy.kinds import COMPONENTS, KINDS
from neurocomp.energy.profile import Constant, EnergyError, Profile, names
from neurocomp.energy.profile_text import save_profile
from neurocomp.energy.quantity import Quantity
from neurocomp.energy.rapl import Measured, measure

__all__ = [
    "COMPONENTS",
    "KINDS",
    "Activity",
    "Bill",
    "Calibration",
    "Constant",
    "EnergyError",
    "Measured",
    "Measurement",
    "Profile",
    "Quantity",
    "Tally",
    "calibrate",
    "count",
    "measure",
    "names",
    "price",
    "save_profile",
]
