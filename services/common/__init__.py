"""What all services share: settings, problem details, content negotiation."""
