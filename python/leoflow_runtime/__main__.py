"""python -m leoflow_runtime scan dags/"""

import sys

from .scan import main

if sys.argv[1:2] != ["scan"]:
    sys.exit("usage: python -m leoflow_runtime scan DAGS [--pods PODS] [--rules FILE]")
sys.exit(main(sys.argv[2:]))
