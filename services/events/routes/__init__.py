"""The paths of rules, events and alarms, a module per resource."""
