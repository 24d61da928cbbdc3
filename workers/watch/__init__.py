"""`dfd watch`: everything on one machine, on one screen."""
