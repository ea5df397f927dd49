"""Where samples are stored, one folder each; they never import each other."""
