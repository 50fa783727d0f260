"""What airspeed velocity (asv) follows from commit to commit; see docs/benchmarks.md."""
