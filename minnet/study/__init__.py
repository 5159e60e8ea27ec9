"""Looking at a network: nothing below imports what is here."""
