"""Events and alarms: rules over samples, the life of alarms, and who is told of them."""
