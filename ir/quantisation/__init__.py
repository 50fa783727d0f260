"""The parts of the `quantise` pass: form -> weights -> plan (scale, rounding, proof of ranges) -> calibration."""
