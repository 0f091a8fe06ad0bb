"""End-to-end conformance of the chain from a Deployment to the answer of its Service."""

__version__ = "0.2.0"
