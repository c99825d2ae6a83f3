"""From proton collisions to jets: Pythia 8, parametric detectors, FastJet."""
