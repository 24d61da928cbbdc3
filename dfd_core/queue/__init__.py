"""All that dfd keeps in Redis: its names, its bytes, and who settles what."""
