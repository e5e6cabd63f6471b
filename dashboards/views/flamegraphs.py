"""What code got more expensive? Nothing to show yet: how to record a profile by hand."""

import streamlit as st

from dashboards import opening

RECORD = """\
pip install py-spy
py-spy record --pid PID --rate 200 --duration 10 --format raw --output profile.txt"""

opening.question("What code got more expensive?")
st.info(
    "Records hold no profiles yet, and windtunnel cannot record them. Until it can, py-spy can be"
    " pointed at a running service by hand."
)
st.markdown(
    "Load the service (`.tools/bin/triton_bench --mode quick`), find its process number in"
    " `/health` (`pid`), and sample its stacks while it works:"
)
st.code(RECORD, language=None, wrap_lines=True)
st.markdown(
    "- `profile.txt` holds one line a stack with its number of samples; speedscope and"
    " flamegraph.pl draw it. With `--format speedscope` it keeps the order in time.\n"
    "- Every sample stops the process for a moment. Never compare latencies of a service that was"
    " being profiled: profile in a visit of its own.\n"
    "- With many native threads (PyTorch) add `--nonblocking`, and read the rate of errors that"
    " py-spy prints at its end.\n"
    "- A service of another user, or in a container, needs `sudo`."
)
st.markdown("Until then, the page Stages says which stage of the service the time goes to.")
