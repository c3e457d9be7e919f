"""Write the definitions of the primary's tables and sequences as statements for a secondary of either flavour."""
