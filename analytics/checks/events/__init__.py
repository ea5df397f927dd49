"""Rules of events, written down once more: slowly, sample by sample, so that one sees that it is right."""
