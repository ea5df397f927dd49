"""What was archived, read back: plan, merge, aggregate, format."""
