"""Complex event processing: rules over samples, as pure steps over columns.

The pages of the documentation that say what the rules mean: ``docs/reference/rules.md``.
"""
