"""`python -m trainyard`, where the program is not on the PATH."""

from trainyard.cli import main

main()
