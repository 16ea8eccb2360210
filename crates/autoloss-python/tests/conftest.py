"""Settings of all tests."""

import signal

# A shell starts what runs in the background with an ignored SIGINT, which processes would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)
