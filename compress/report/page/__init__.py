"""What the page shows: the cards of its first screen, the table of variants with its details, and the code that serves one."""
