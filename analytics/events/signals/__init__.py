"""What comes and goes: signals tell when something is true, `analytics.events.latch` makes events of it."""
