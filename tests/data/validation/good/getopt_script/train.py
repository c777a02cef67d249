import getopt
import sys

options, rest = getopt.getopt(sys.argv[1:], "d:o:", ["data=", "output_path="])
for name, value in options:
    print(name, value)
