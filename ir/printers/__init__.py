"""Printers of step programs. None of them reorders anything; import the one you need."""
