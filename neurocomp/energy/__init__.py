"""What a network costs on a chip: exact counts of a run, times constants with ranges and sources.

`neurocomp.energy(program, recording, profile=...)` is the function `energy` of `neurocomp.energy.report`; this package holds
what it is made of: import from it by name, as in `from neurocomp.energy import Profile, calibrate`.
"""
