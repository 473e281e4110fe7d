"""Bills and the invoices made of them: numbered, corrected, explained, compared, printed."""
