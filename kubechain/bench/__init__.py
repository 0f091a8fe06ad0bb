"""How fast the suite is beside upstream's tests of the same behaviour, on one cluster."""
