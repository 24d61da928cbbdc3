"""`dfd search`: AutoKeras looks for a network in a space of ours whose every network can be deployed."""
