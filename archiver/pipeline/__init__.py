"""From the intake to the backends: validate, journal, route, smooth, write, account."""
