"""Rules on Faust workers: samples from the journal's topic, shared out by instance; events to a topic."""
