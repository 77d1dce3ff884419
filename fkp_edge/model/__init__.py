"""The self-describing model file: card, golden cases, runtimes, verification and deployment."""
