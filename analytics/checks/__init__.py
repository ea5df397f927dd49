"""What every analytics service has to pass, shipped for those who write their own."""
