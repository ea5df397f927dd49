"""The paths of the HTTP interface, a module per resource; what they do is elsewhere."""
