"""The routes of the appliance: retrieval, search, management."""
