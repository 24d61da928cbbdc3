"""What was found in a file, for people: tables and one HTML page."""
