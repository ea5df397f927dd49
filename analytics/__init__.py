"""Analytics over the archive: event processing, forecasting, maintenance, anomaly detection."""
