"""Synapses that learn: `PlasticityRule`, the rules that come with the package, and their form for backends."""

from neurocomp.ir.plasticity.form import LearningProgram, RuleForm
from neurocomp.ir.plasticity.loihi import LoihiRule
from neurocomp.ir.plasticity.rule import Plasticity, PlasticityRule, Trace
from neurocomp.ir.plasticity.rules import BUILTIN_RULES, STDP, RewardSTDP, TripletSTDP

__all__ = [
    "BUILTIN_RULES",
    "STDP",
    "LearningProgram",
    "LoihiRule",
    "Plasticity",
    "PlasticityRule",
    "RewardSTDP",
    "RuleForm",
    "Trace",
    "TripletSTDP",
]
