"""`python -m kubechain` is the command kubechain."""

from kubechain.cli import main

main()
