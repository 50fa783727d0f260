"""`python -m neurocomp`: the same as the command `neurocomp`."""

from neurocomp.cli import main

main(prog_name="neurocomp")
