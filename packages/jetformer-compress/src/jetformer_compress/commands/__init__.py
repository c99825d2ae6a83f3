"""One module for each command; each adds itself to the application."""
