"""Git hosts behind one contract: verify a webhook, read a push, give the address to fetch from, report a status."""
