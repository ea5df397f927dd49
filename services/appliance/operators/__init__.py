"""The post-processing operators of the appliance: ``mean_60(PV)`` and the others, by name."""

from services.appliance.operators.parsing import Operator, operator_of

__all__ = ["Operator", "operator_of"]
