"""Importers: trained models of other libraries as networks. One module per library; none is imported before it is used."""

from neurocomp.importers.sklearn import from_sklearn

__all__ = ["from_sklearn"]
