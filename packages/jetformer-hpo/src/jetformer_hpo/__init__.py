"""Multi-objective search for jet taggers: accuracy up, cost down."""
