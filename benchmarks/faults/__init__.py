"""The parts of `soak_faults.py`: a camera that fails, clients that misbehave, a witness, the service, the verdict."""
