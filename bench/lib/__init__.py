"""What the benchmarks and the demo share, so that nothing is written twice.

    machine   what is measured on, and with what
    build     the C tools, compiled on demand
    peers     a virtual environment with the others' newest releases
    proc      children that are pinned, and gone when we are
    servers   the servers to compare, and the two lines on top
    rounds    A B A B: every server in every round
    report    medians, tables, CSV
    plot      a bar plot as SVG
"""
