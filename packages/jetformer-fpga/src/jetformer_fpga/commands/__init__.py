"""The commands, each in a module of its own; importing them adds them to the application."""

from . import csynth, emulate, explore, rate, report, route, show, synth, verify

__all__ = ["csynth", "emulate", "explore", "rate", "report", "route", "show", "synth", "verify"]
