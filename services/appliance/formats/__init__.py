"""Events as bytes, in the formats of the appliance."""
