"""What must survive: the ledger of sends, the journal of pages, and the tables that analysts read."""
