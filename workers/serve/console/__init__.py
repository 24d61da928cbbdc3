"""The console: pages for people over what the API tells programs; no page asks another host for anything."""
