"""The archive for clients of the EPICS Archiver Appliance: its HTTP contract, under /retrieval and /mgmt."""
